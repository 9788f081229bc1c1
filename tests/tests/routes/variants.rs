//! Lists of what can be asked, held to have all of it.

/// Expects each variant of what can be asked in a list. A new one does not compile here until it is named, and fails until
/// the list has it.
macro_rules! has_each {
    ($list:expr, $type:ident: $($variant:ident),* $(,)?) => {{
        let name = |one: &$type| match one { $($type::$variant { .. } => stringify!($variant)),* };
        let there: Vec<&str> = $list.map(name).collect();
        for variant in [$(stringify!($variant)),*] {
            assert!(there.contains(&variant), "{variant} is not asked");
        }
    }};
}
