//! Auth as a whole, on loopback, as its clients see it.

mod arrivals;
mod attacks;
mod authenticator;
mod browsers;
mod factors;
mod film;
pub(crate) mod house;
mod ledger;
mod links;
mod live;
mod locks;
mod machines;
mod people;
mod recordings;
mod routes;
mod search;
mod segments;
mod shut_out;
mod storage;
mod surf;
mod terminals;
