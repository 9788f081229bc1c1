//! The form of the ledger's events, from which their published schema is made.

use crate::role::Labels;
use crate::{ConnectionId, LinkId, LockId, Login, NodeName, RoleName, SessionId, Time, UserName};

/// One kind of event.
#[derive(Debug, Clone, Copy)]
pub struct EventForm {
    /// Its stable code.
    pub code: &'static str,
    /// Its word.
    pub word: &'static str,
    /// What it means; lines of text.
    pub says: &'static [&'static str],
    /// Its own fields, besides those of every event ([`ENVELOPE`]).
    pub fields: &'static [FieldForm],
}

/// One field.
#[derive(Debug, Clone, Copy)]
pub struct FieldForm {
    /// Its name.
    pub name: &'static str,
    /// What it means; lines of text.
    pub says: &'static [&'static str],
    /// What stands in it.
    pub form: Form,
}

/// What stands in a field, in the words of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A string.
    Text,
    /// A whole number, 0 or more.
    Count,
    /// `true` or `false`.
    Flag,
    /// Milliseconds since 1970 in UTC.
    Moment,
    /// An object whose values are strings.
    Labels,
    /// An array.
    List(&'static Form),
    /// It may be missing.
    Optional(&'static Form),
}

/// A type that fields have.
pub(super) trait Formed {
    /// What stands in a field of it.
    const FORM: Form;
}

macro_rules! formed {
    ($($type:ty = $form:ident;)*) => {$(
        impl Formed for $type {
            const FORM: Form = Form::$form;
        }
    )*};
}

formed! {
    String = Text;
    UserName = Text;
    RoleName = Text;
    NodeName = Text;
    Login = Text;
    ConnectionId = Text;
    SessionId = Text;
    LockId = Count;
    LinkId = Count;
    u64 = Count;
    u32 = Count;
    bool = Flag;
    Time = Moment;
    Labels = Labels;
}

impl<T: Formed> Formed for Vec<T> {
    const FORM: Form = Form::List(&T::FORM);
}

impl<T: Formed> Formed for Option<T> {
    const FORM: Form = Form::Optional(&T::FORM);
}

macro_rules! fields {
    ($($name:literal $says:literal $form:expr;)*) => {
        &[$( FieldForm { name: $name, says: &[$says], form: $form } ),*]
    };
}

const MAYBE: Form = Form::Optional(&Form::Text);

/// The fields of every event; `number` and `code` are added where it is read.
pub const ENVELOPE: &[FieldForm] = fields! {
    "time" "When it happened, by the clock of the service that saw it." Form::Moment;
    "event" "Its word." Form::Text;
    "user" "Who did it, if known." MAYBE;
    "address" "From which address." MAYBE;
    "node" "On which node, or which part of scry reported it." MAYBE;
    "login" "On which account of the node." MAYBE;
    "connection" "Over which connection." MAYBE;
    "session" "In which session, which is also its recording." MAYBE;
    "via" "Through which proxy, if it was asked in a browser." MAYBE;
    "number" "Its place in the ledger, counted from 1 without holes." Form::Count;
    "code" "Its stable code: a meaning never changes its code." Form::Text;
};
