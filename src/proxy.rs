//! Proxies, and who is reached without them.

/// True where `NO_PROXY` has `*`, which exempts every host. The HTTP client knows that of names alone, not of IP addresses.
pub fn is_for_nobody(no_proxy: &str) -> bool {
    no_proxy.split(',').any(|host| host.trim() == "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_exempts_all() {
        for all in ["*", " * ", "example.com, *"] {
            assert!(is_for_nobody(all), "{all}");
        }
        for some in ["", "*.example.com", "127.0.0.1"] {
            assert!(!is_for_nobody(some), "{some}");
        }
    }
}
