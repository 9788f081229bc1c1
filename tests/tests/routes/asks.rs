//! Everything that can be asked of a session's company, and whose it is to ask: one list for all doors that lead there.

use model::SeatRole;
use model::entry::Party;
use wire::company::Ask;

/// Whose it is to ask for something, of those who are in a session. Nobody else has a line to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's.
    All,
    /// The owner's.
    Owner,
    /// The owner's and a moderator's.
    OwnerAndModerator,
    /// A moderator's.
    Moderator,
    /// Theirs whose word about the file counts that waits; nobody's where none does.
    Counting,
}

impl Whose {
    /// Whether somebody in this seat asks for it in vain where no file waits. The owner has none.
    pub fn denies(self, seat: Option<SeatRole>) -> bool {
        let moderates = seat == Some(SeatRole::Moderator);
        match self {
            Self::All => false,
            Self::Owner => seat.is_some(),
            Self::OwnerAndModerator => seat.is_some() && !moderates,
            Self::Moderator => !moderates,
            Self::Counting => true,
        }
    }
}

/// Every request, about this person where it is about one.
pub fn every_ask(party: Party) -> Vec<(Ask, Whose)> {
    let all = vec![
        (Ask::Who {}, Whose::All),
        (Ask::Say { text: "hello".to_owned() }, Whose::All),
        (Ask::Confirm {}, Whose::All),
        (Ask::HandOver { to: party }, Whose::Owner),
        (Ask::TakeBack {}, Whose::Owner),
        (Ask::Together {}, Whose::Owner),
        (Ask::Adopt { party }, Whose::Owner),
        (Ask::OwnSize {}, Whose::Owner),
        (Ask::ShowOut { party }, Whose::OwnerAndModerator),
        (Ask::End {}, Whose::OwnerAndModerator),
        (Ask::Freeze {}, Whose::Moderator),
        (Ask::Thaw {}, Whose::Moderator),
        (Ask::Approve { number: 1 }, Whose::Counting),
        (Ask::Refuse { number: 1 }, Whose::Counting),
    ];
    has_each!(
        all.iter().map(|(ask, _)| ask),
        Ask: Who, Say, Confirm, HandOver, TakeBack, Together, Adopt, OwnSize, ShowOut, End, Freeze,
        Thaw, Approve, Refuse
    );
    all
}
