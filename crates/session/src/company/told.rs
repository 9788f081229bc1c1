//! What a company tells: how it stands, what changed, and why something is not to be.

use super::Adopted;
use model::Tick;
use model::entry::Party;
use model::role::SeatRole;

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has not begun: four eyes were never met yet.
    Waiting,
    /// Input and output pass.
    Running,
    /// It has begun, and stands still.
    Frozen,
    /// For ever.
    Over,
}

/// Something that changed. All of them from the beginning, where it is [`Standing::Waiting`] and everybody has the
/// keyboard, give who is there and how it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// They took a seat.
    Came(Party),
    /// They are gone.
    Went {
        /// Who.
        party: Party,
        /// Who showed them out; none if they left.
        shown_out_by: Option<Party>,
    },
    /// From [`Standing::Waiting`] to [`Standing::Running`].
    Begin,
    /// From [`Standing::Running`] to [`Standing::Frozen`].
    Freeze {
        /// The moderator who wants it; none if four eyes are not met.
        by: Option<Party>,
    },
    /// From [`Standing::Frozen`] to [`Standing::Running`].
    Thaw {
        /// The moderator who wants it; none if somebody's coming or going brought it.
        by: Option<Party>,
    },
    /// To [`Standing::Over`]. The last that is told, but for people who go. The keyboard is nobody's, and nobody's size
    /// counts.
    End {
        /// Why.
        why: EndCause,
    },
    /// They must be asked to confirm that they are there.
    Ask {
        /// Who.
        party: Party,
        /// First moment at which it is too late.
        by: Tick,
    },
    /// They are silent, or did not confirm in time: they count for nothing until they are back.
    Absent(Party),
    /// They count again.
    Back(Party),
    /// The owner's connection is lost: nobody types.
    OwnerLost,
    /// The owner is back.
    OwnerBack,
    /// Somebody else may type.
    Keyboard {
        /// Who alone; none for the owner and all peers.
        held: Option<Party>,
    },
    /// The terminal is to have somebody else's size.
    Size {
        /// Whose; none for its owner's.
        of: Option<Adopted>,
    },
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndCause {
    /// Its owner has left.
    OwnerLeft,
    /// By hand.
    Ended {
        /// The owner or a moderator.
        by: Party,
    },
    /// A demand of four eyes that was met is no longer.
    EyesLeft {
        /// Its place among the demands.
        demand: usize,
    },
}

impl EndCause {
    /// For the people in it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::OwnerLeft => "its owner has left",
            Self::Ended { by: Party::OWNER } => "its owner ended it",
            Self::Ended { .. } => "a moderator ended it",
            Self::EyesLeft { .. } => "somebody who must be there has left",
        }
    }
}

/// Somebody who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seated {
    /// Number within the recording.
    pub party: Party,
    /// As what.
    pub seat: SeatRole,
    /// Whether they count for any demand at this moment.
    pub counts: bool,
}

/// Why somebody may not enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// All [`model::limit::SEATS`] are taken, or all but those that are kept for others.
    Seats,
    /// They have come as often as one person may.
    Person,
    /// By their link guests have come as often as by one they may.
    Link,
    /// Every number was given away.
    Numbers,
    /// The session is over.
    Over,
}

impl Full {
    /// For who wanted to enter.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Seats => "all seats in this session are taken",
            Self::Person => "you have come to this session too often",
            Self::Link => "guests have come by this link too often: ask for another one",
            Self::Numbers => "too many people have come and gone in this session",
            Self::Over => "the session is over",
        }
    }
}

/// Why something that was asked for was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Who asked is not there.
    Stranger,
    /// Who asked has no right to it.
    NotAllowed,
    /// Whom it is about is not there.
    Nobody,
    /// Whom it is about has a seat that only looks.
    NoTypist,
    /// Nobody froze the session by hand.
    NotByHand,
    /// The session has not begun.
    Waiting,
    /// The session is frozen.
    Frozen,
    /// The owner's connection is lost.
    Lost,
    /// The session has no terminal.
    NoTerminal,
    /// The session is over.
    Over,
}

impl Refused {
    /// For who asked.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Stranger => "you are not in this session",
            Self::NotAllowed => "that is not yours to say in this session",
            Self::Nobody => "nobody in this session has that number",
            Self::NoTypist => "they are here to look, not to type",
            Self::NotByHand => "no moderator has frozen this session",
            Self::Waiting => "the session has not begun: there is no terminal yet",
            Self::Frozen => "the session is frozen: its terminal stays as it is until it goes on",
            Self::Lost => "the owner's connection is lost: come back to the session first",
            Self::NoTerminal => "this session has no terminal, and so no size",
            Self::Over => "the session is over",
        }
    }
}

/// Why somebody may not type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silent {
    /// They only look: an observer, or a moderator.
    Observer,
    /// Somebody alone has the keyboard.
    Held {
        /// Who.
        by: Party,
    },
    /// The session has not begun.
    Waiting,
    /// The session is frozen.
    Frozen,
    /// The owner's connection is lost.
    Lost,
    /// The session is over.
    Over,
    /// They are not there.
    Stranger,
}

impl Silent {
    /// For who typed.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Observer => "you are here to look, not to type",
            Self::Held { by: Party::OWNER } => "the owner has the keyboard",
            Self::Held { .. } => "somebody else has the keyboard",
            Self::Waiting => "the session waits for somebody",
            Self::Frozen => "the session is frozen",
            Self::Lost => "the owner's connection is lost, and nobody types until they are back",
            Self::Over => "the session is over",
            Self::Stranger => "you are not in this session",
        }
    }
}
