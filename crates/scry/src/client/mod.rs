//! The client's side: everything a person does with a cluster.

pub mod access;
pub mod audit;
mod by_browser;
pub mod company;
pub mod config;
pub mod events;
mod forwards;
pub mod join;
pub mod locks;
pub mod login;
pub mod nodes;
mod opener;
mod overlay;
pub mod profile;
pub mod reach;
pub mod recordings;
mod remote;
pub mod roles;
pub mod search;
pub mod sessions;
pub mod share;
pub mod ssh;
pub mod users;
pub mod verify;
