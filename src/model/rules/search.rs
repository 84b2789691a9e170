//! Searches in lists: which parameters a deployment understands, and what they match.
//!
//! Comparisons are done by the deployment's database. Where it could see letters or patterns in another way than this does
//! (letter case outside ASCII, regular expressions with operators), the answer is [`Truth::Unknown`].

use std::collections::BTreeMap;

use crate::model::state::Truth;

/// A search as the server understands it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    terms: Vec<Term>,
    all: bool,
    case_sensitive: bool,
}

/// One property (or any) compared with one value or several.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    /// Properties looked at; one that fits is enough.
    properties: Vec<String>,
    mode: Mode,
    /// More than one only for exact comparisons.
    values: Vec<String>,
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Exact,
    Like,
    SimilarTo,
    Posix,
}

impl Mode {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "exact" => Self::Exact,
            "like" => Self::Like,
            "similar_to" => Self::SimilarTo,
            "posix" => Self::Posix,
            _ => return None,
        })
    }
}

/// What the server takes for yes in a query.
pub fn is_truthy(value: &str) -> bool {
    ["1", "true", "y", "yes", "yep", "yeah"].contains(&value.to_ascii_lowercase().as_str())
}

impl Search {
    /// Reads the search parameters of a raw query; `properties` are those that can be searched. `None` when the server refuses them.
    pub fn read(query: &str, properties: &[String]) -> Option<Self> {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let first = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let all = match first("joint").or_else(|| first("jointMode")).unwrap_or("") {
            "" | "or" => false,
            "and" => true,
            _ => return None,
        };
        let case_sensitive = first("isCaseSensitive").is_some_and(is_truthy);
        let mut modes: BTreeMap<Option<&str>, Mode> = BTreeMap::new();
        let mut searches: Vec<(Option<&str>, Vec<String>)> = Vec::new();
        for (key, value) in &pairs {
            if key.starts_with("mode") {
                modes.insert(property(key).ok()?, Mode::read(value)?);
            } else if key.starts_with("search") {
                let name = property(key).ok()?;
                match searches.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, values)) => values.push(value.clone()),
                    None => searches.push((name, vec![value.clone()])),
                }
            }
        }
        let terms = searches.into_iter().map(|(name, values)| {
            let mode = *modes.get(&name).or_else(|| modes.get(&None)).unwrap_or(&Mode::Like);
            let refused = values.iter().any(String::is_empty)
                || mode != Mode::Exact && values.len() > 1
                || mode == Mode::SimilarTo && !case_sensitive;
            let properties = match name.filter(|name| !name.is_empty()) {
                None => properties.to_vec(),
                Some(name) => vec![properties.iter().find(|known| snake_case(known) == snake_case(name))?.clone()],
            };
            (!refused).then_some(Term { properties, mode, values })
        });
        Some(Self { terms: terms.collect::<Option<_>>()?, all, case_sensitive })
    }

    /// Whether something matches whose properties `read` tells: `None` is unknown, `Some(None)` has no value.
    pub fn admits<'a>(&self, read: impl Fn(&str) -> Option<Option<&'a str>>) -> Truth {
        let terms = self.terms.iter().map(|term| {
            term.properties.iter().fold(Truth::No, |found, name| {
                found.or(match read(name) {
                    None => Truth::Unknown,
                    Some(None) => Truth::No,
                    Some(Some(text)) => term.fits(text, self.case_sensitive),
                })
            })
        });
        match (self.terms.is_empty(), self.all) {
            (true, _) => Truth::Yes,
            (false, true) => terms.fold(Truth::Yes, Truth::and),
            (false, false) => terms.fold(Truth::No, Truth::or),
        }
    }

    /// Whether every match has one of these values of a property: nothing else can be found.
    pub fn only(&self, name: &str, known: impl Fn(&str) -> bool) -> bool {
        let bound = |term: &Term| {
            let plain = match term.mode {
                Mode::Exact => true,
                Mode::Like => !term.values.iter().any(|value| value.contains(['%', '_', '\\'])),
                Mode::SimilarTo | Mode::Posix => false,
            };
            plain && term.properties.as_slice() == [name.to_owned()] && term.values.iter().all(|value| known(value))
        };
        if self.all { self.terms.iter().any(bound) } else { !self.terms.is_empty() && self.terms.iter().all(bound) }
    }
}

impl Term {
    fn fits(&self, text: &str, case_sensitive: bool) -> Truth {
        self.values.iter().fold(Truth::No, |found, value| found.or(fits(self.mode, value, text, case_sensitive)))
    }
}

/// The property of a property is nothing that can be searched.
struct TooDeep;

/// The property that a parameter names; none for any.
fn property(key: &str) -> Result<Option<&str>, TooDeep> {
    let mut parts = key.split('.').skip(1);
    let name = parts.next();
    if parts.next().is_none() { Ok(name) } else { Err(TooDeep) }
}

/// `primaryEmail`, `PrimaryEmail` and `primary-email` as `primary_email`.
fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut words = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).map(|index| letters[index]);
        let after = letters.get(index + 1);
        let starts = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase)
            });
        let part = letter.is_ascii_alphanumeric();
        if (starts || !part) && !words.is_empty() && !words.ends_with('_') {
            words.push('_');
        }
        if part {
            words.push(letter.to_ascii_lowercase());
        }
    }
    words.trim_end_matches('_').to_owned()
}

fn fits(mode: Mode, value: &str, text: &str, case_sensitive: bool) -> Truth {
    if !(case_sensitive || value.is_ascii() && text.is_ascii()) {
        return Truth::Unknown;
    }
    let fold = |text: &str| if case_sensitive { text.to_owned() } else { text.to_ascii_lowercase() };
    let (value, text) = (fold(value), fold(text));
    match mode {
        Mode::Exact => Truth::of(value == text),
        Mode::Like => Truth::maybe(pattern(&value).map(|pattern| like(&pattern, &text.chars().collect::<Vec<_>>()))),
        Mode::SimilarTo if value.chars().all(|letter| is_literal(letter) || "%_.".contains(letter)) => {
            fits(Mode::Like, &value, &text, true)
        }
        Mode::SimilarTo => Truth::Unknown,
        Mode::Posix => posix(&value, &text),
    }
}

/// Letters that mean themselves in every kind of expression.
fn is_literal(letter: char) -> bool {
    letter.is_alphanumeric() || "_-@ ".contains(letter)
}

/// One place of a LIKE pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Letter(char),
    One,
    Any,
}

/// A LIKE pattern with `\` as escape; `None` when it ends in the middle of an escape.
fn pattern(value: &str) -> Option<Vec<Place>> {
    let mut letters = value.chars();
    let mut places = Vec::new();
    while let Some(letter) = letters.next() {
        places.push(match letter {
            '\\' => Place::Letter(letters.next()?),
            '%' => Place::Any,
            '_' => Place::One,
            letter => Place::Letter(letter),
        });
    }
    Some(places)
}

/// Whether a text fits a pattern as a whole. Goes back to the last `%` only, which is enough.
fn like(pattern: &[Place], text: &[char]) -> bool {
    let (mut place, mut letter) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while letter < text.len() {
        match pattern.get(place) {
            Some(Place::Any) => {
                retry = Some((place, letter));
                place += 1;
            }
            Some(Place::One) => (place, letter) = (place + 1, letter + 1),
            Some(Place::Letter(expected)) if *expected == text[letter] => (place, letter) = (place + 1, letter + 1),
            _ => match retry {
                Some((any, from)) => {
                    retry = Some((any, from + 1));
                    (place, letter) = (any + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[place..].iter().all(|place| *place == Place::Any)
}

/// Plain text, with `^` in front and `$` behind or without; more is not followed.
fn posix(value: &str, text: &str) -> Truth {
    let (value, starts) = value.strip_prefix('^').map_or((value, false), |rest| (rest, true));
    let (value, ends) = value.strip_suffix('$').map_or((value, false), |rest| (rest, true));
    if value.is_empty() || !value.chars().all(is_literal) {
        return Truth::Unknown;
    }
    Truth::of(match (starts, ends) {
        (true, true) => text == value,
        (true, false) => text.starts_with(value),
        (false, true) => text.ends_with(value),
        (false, false) => text.contains(value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROPERTIES: [&str; 5] = ["id", "primaryEmail", "primaryPhone", "username", "name"];

    fn read(query: &str) -> Option<Search> {
        Search::read(query, &PROPERTIES.map(str::to_owned))
    }

    fn found(query: &str) -> Truth {
        read(query).expect("understood").admits(|name| {
            Some(match name {
                "id" => Some("abc123"),
                "primaryEmail" => Some("R_A@Example.com"),
                "username" => Some("r_B"),
                "name" => Some("r%c\\d"),
                _ => None,
            })
        })
    }

    #[test]
    fn parameters_a_deployment_refuses() {
        let refused = [
            "search=",
            "search=&mode=exact",
            "search=a&search=&mode=exact",
            "search=a&search=b",
            "searchfoo=a&search=b",
            "search.foo=a",
            "search.name.x=a",
            "search..x=a",
            "mode=x",
            "mode=",
            "models=1&search=a",
            "mode.name.x=exact",
            "joint=xor",
            "search=a&mode=similar_to",
            "search.name=a&mode.name=similar_to&isCaseSensitive=no",
        ];
        for query in refused {
            assert_eq!(read(query), None, "{query}");
        }
        let understood = [
            "",
            "mode=similar_to",
            "mode.foo=exact",
            "joint=",
            "joint=&jointMode=nonsense",
            "search=a&mode=similar_to&isCaseSensitive=yes",
            "search.=a",
            "search=a&search=b&mode=exact",
            "searchfoo=a",
            "isCaseSensitive=maybe",
        ];
        for query in understood {
            assert!(read(query).is_some(), "{query}");
        }
    }

    #[test]
    fn matches_as_a_deployment_does() {
        let table = [
            ("", Truth::Yes),
            ("search=r_b", Truth::Yes),
            ("search=r_b&mode=like", Truth::Yes),
            ("search.username=r&mode=like", Truth::No),
            ("search=r%5C_b", Truth::Yes),
            ("search=r%5C%25c%25", Truth::Yes),
            ("search=r%25%5C", Truth::Unknown),
            ("search=R%25&isCaseSensitive=true", Truth::Yes),
            ("search.username=R%25&isCaseSensitive=true", Truth::No),
            ("search.username=R%25&isCaseSensitive=no&isCaseSensitive=true", Truth::Yes),
            ("search.username=R_b&mode=exact", Truth::Yes),
            ("search.username=R_b&mode=exact&isCaseSensitive=1", Truth::No),
            ("search.username=x&search.username=r_b&mode=exact", Truth::Yes),
            ("search.primary_email=r_a%25", Truth::Yes),
            ("search.PrimaryEmail=r_a%25", Truth::Yes),
            ("search.primaryPhone=%25", Truth::No),
            ("search.name=r%25&mode.name=exact", Truth::No),
            ("search.name=r%25&search.username=r%25&joint=and", Truth::Yes),
            ("search.name=x&search.username=r%25&jointMode=and", Truth::No),
            ("search.name=x&search.username=r%25&joint=&jointMode=and", Truth::Yes),
            ("search.username=r_(B|C)&mode=similar_to&isCaseSensitive=y", Truth::Unknown),
            ("search.username=r_B&mode=similar_to&isCaseSensitive=y", Truth::Yes),
            ("search.username=^R_b$&mode=posix", Truth::Yes),
            ("search.username=^R_b$&mode=posix&isCaseSensitive=y", Truth::No),
            ("search.username=_&mode=posix", Truth::Yes),
            ("search.username=[ab]&mode=posix", Truth::Unknown),
            ("search.id=ABC123&mode=exact", Truth::Yes),
            ("search.username=%C3%89&mode=exact", Truth::Unknown),
        ];
        for (query, expected) in table {
            assert_eq!(found(query), expected, "{query}");
        }
    }

    #[test]
    fn an_unknown_property_leaves_open_what_it_would_decide() {
        let search = read("search.name=a&search.id=b").expect("understood");
        assert_eq!(search.admits(|name| (name == "id").then_some(Some("b"))), Truth::Yes);
        assert_eq!(search.admits(|name| (name == "id").then_some(Some("c"))), Truth::Unknown);
    }

    #[test]
    fn wildcards_go_as_far_as_needed() {
        let text: Vec<char> = "abcabd".chars().collect();
        for (value, fits) in [("%abd", true), ("a%b_", true), ("%c%d", true), ("ab", false), ("%", true), ("%%_", true), ("a%c", false)] {
            assert_eq!(like(&pattern(value).expect("complete"), &text), fits, "{value}");
        }
        assert!(like(&[], &[]) && like(&[Place::Any], &[]) && !like(&[Place::One], &[]));
    }

    #[test]
    fn a_search_for_known_ids_can_find_nothing_else() {
        let known = |id: &str| ["a1", "b2"].contains(&id);
        let table = [
            ("search.id=a1", true),
            ("search.id=a1&search.id=b2&mode=exact", true),
            ("search.id=a1&search.id=c3&mode=exact", false),
            ("search.id=a%25", false),
            ("search=a1", false),
            ("search.id=a1&search.name=x", false),
            ("search.id=a1&search.name=x&joint=and", true),
            ("search.id=a1&mode=posix", false),
            ("", false),
        ];
        for (query, only) in table {
            assert_eq!(read(query).expect("understood").only("id", known), only, "{query}");
        }
    }

    #[test]
    fn names_of_properties_in_any_writing() {
        for name in ["primaryEmail", "PrimaryEmail", "primary_email", "primary-email", "primary Email"] {
            assert_eq!(snake_case(name), "primary_email", "{name}");
        }
        assert_eq!(snake_case("primaryEMAIL"), "primary_email");
        assert_eq!(snake_case("HTMLName"), "html_name");
    }
}
