//! Names of users, from /etc/passwd: a static program has no name service.

/// The name of user `uid` in `passwd` (the text of /etc/passwd), or `#uid`.
pub(crate) fn user_name(passwd: &str, uid: u32) -> String {
    let named = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(uid)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("#{uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_name_of_the_first_line_with_that_id_or_a_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbad line\ntoor:x:0:0::/:\nme:x:7:8::/:\n";
        assert_eq!(user_name(passwd, 0), "root");
        assert_eq!(user_name(passwd, 7), "me");
        assert_eq!(user_name(passwd, 8), "#8");
    }
}
