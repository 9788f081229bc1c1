//! Others in one's session, from the outside, with real clients: what they see, what they may do, and when they have to go.

#[path = "sharing/adopted.rs"]
mod adopted;
#[path = "sharing/arrival.rs"]
mod arrival;
#[path = "sharing/company.rs"]
mod company;
#[path = "sharing/links.rs"]
mod links;
#[path = "sharing/members.rs"]
mod members;
#[path = "sharing/overlay.rs"]
mod overlay;
#[path = "sharing/pictures.rs"]
mod pictures;
#[path = "sharing/rewind.rs"]
mod rewind;
#[path = "sharing/rights.rs"]
mod rights;
#[path = "sharing/sizes.rs"]
mod sizes;
#[path = "sharing/slow.rs"]
mod slow;
#[path = "sharing/typing.rs"]
mod typing;
