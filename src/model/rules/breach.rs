//! What can be said of a password's appearance in breaches without asking anybody.

use super::password_policy::Breached;

/// Passwords that every list of breached passwords has.
const NOTORIOUS: [&str; 7] = ["123456", "password", "12345678", "qwerty", "123456aA", "test_password", "Password1"];

/// Judges by notoriety and variety alone: a long password of at least three character classes counts as never seen,
/// anything in between is unknown.
pub fn breached(password: &str) -> Breached {
    if NOTORIOUS.contains(&password) {
        return Breached::Yes;
    }
    let classes: [fn(char) -> bool; 4] =
        [|c| c.is_ascii_lowercase(), |c| c.is_ascii_uppercase(), |c| c.is_ascii_digit(), |c| c.is_ascii_punctuation()];
    let variety = classes.iter().filter(|class| password.chars().any(**class)).count();
    if variety >= 3 && password.chars().count() >= 12 { Breached::No } else { Breached::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_notorious_and_long_varied_passwords_are_judged() {
        for (password, expected) in [
            ("123456", Breached::Yes),
            ("Password1", Breached::Yes),
            ("gk2x9pmQvb7w", Breached::No),
            ("gk2x-pm!vb7w", Breached::No),
            ("gk2x9pmQvb7", Breached::Unknown),
            ("gkzxwpmqvbtw", Breached::Unknown),
            ("gkzxwpm2vb7w", Breached::Unknown),
            ("kx", Breached::Unknown),
            ("", Breached::Unknown),
        ] {
            assert_eq!(breached(password), expected, "{password:?}");
        }
    }
}
