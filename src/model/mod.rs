//! What a conforming deployment must remember, and what it must answer.
pub mod json;
pub mod rules;
pub mod wire;
