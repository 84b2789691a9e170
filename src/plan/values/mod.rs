//! Values: each body and query parameter with generated values that fit, lie on a bound, or are wrong in exactly one thing.
//!
//! Strategies are built from the JSON Schemas of the contract. What a deployment must answer is what the model predicts;
//! for what is wrong in one thing the refusal is known beforehand, and a test compares the two.

mod boundary;
mod draw;
mod family;
mod files;
mod generate;
mod shape;
mod spoil;
mod text;

pub use family::drafts;

#[cfg(test)]
mod tests;
