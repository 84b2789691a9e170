//! Rules on single values: which password, username or phone number a conforming deployment takes.
//!
//! Each rule is a pure function of the value and of the settings that the deployment shows.
pub mod password_policy;
pub mod phone;
pub mod username_policy;
