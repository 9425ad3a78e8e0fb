//! Mount options: from the words of a configuration to what the kernel takes.
//!
//! One table says what each word means; what is not in it is meant for the
//! file system (config.md, Linux mount options).

use libc::{
    MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME,
    MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_RDONLY,
    MOUNT_ATTR_RELATIME, MOUNT_ATTR_STRICTATIME, MS_BIND, MS_DIRSYNC, MS_I_VERSION, MS_LAZYTIME,
    MS_MANDLOCK, MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC, MS_NOSUID, MS_NOSYMFOLLOW,
    MS_POSIXACL, MS_PRIVATE, MS_RDONLY, MS_REC, MS_RELATIME, MS_REMOUNT, MS_SHARED, MS_SILENT,
    MS_SLAVE, MS_STRICTATIME, MS_SYNCHRONOUS, MS_UNBINDABLE,
};
use oci_spec::runtime::Mount;

use super::id_map::IdMap;
use crate::bundle::{item, member};
use crate::error::{Error, Result};

/// What a word does.
#[derive(Clone, Copy)]
enum Effect {
    /// Nothing: it is how things are.
    Default,
    /// Sets flags of mount(2).
    Set(u64),
    /// Clears flags of mount(2).
    Clear(u64),
    /// Changes the propagation, after the mount.
    Propagation(u64),
    /// Sets attributes of the whole tree, after the mount.
    SetTree(u64),
    /// Clears attributes of the whole tree, after the mount.
    ClearTree(u64),
    /// Chooses one of the values of the access time attribute of the whole tree.
    TreeAccessTime(u64),
    /// Starts a tmpfs with the files it covers.
    CopyUp,
    /// Maps ids; of the whole tree or not.
    IdMap { whole_tree: bool },
    /// Recreates a source that is a symbolic link instead of following it.
    CopySymlink,
    /// Takes a source that is a symbolic link as it is.
    SourceNoFollow,
    /// Takes a destination that is a symbolic link as it is.
    DestinationNoFollow,
}

use Effect::{
    Clear, ClearTree, CopySymlink, CopyUp, Default, DestinationNoFollow, Propagation, Set, SetTree,
    SourceNoFollow, TreeAccessTime,
};

/// The words, sorted.
const TABLE: [(&str, Effect); 67] = [
    ("acl", Set(MS_POSIXACL)),
    ("async", Clear(MS_SYNCHRONOUS)),
    ("atime", Clear(MS_NOATIME)),
    ("bind", Set(MS_BIND)),
    ("copy-symlink", CopySymlink),
    ("defaults", Default),
    ("dest-nofollow", DestinationNoFollow),
    ("dev", Clear(MS_NODEV)),
    ("diratime", Clear(MS_NODIRATIME)),
    ("dirsync", Set(MS_DIRSYNC)),
    ("exec", Clear(MS_NOEXEC)),
    ("idmap", Effect::IdMap { whole_tree: false }),
    ("iversion", Set(MS_I_VERSION)),
    ("lazytime", Set(MS_LAZYTIME)),
    ("loud", Clear(MS_SILENT)),
    ("mand", Set(MS_MANDLOCK)),
    ("noacl", Clear(MS_POSIXACL)),
    ("noatime", Set(MS_NOATIME)),
    ("nodev", Set(MS_NODEV)),
    ("nodiratime", Set(MS_NODIRATIME)),
    ("noexec", Set(MS_NOEXEC)),
    ("noiversion", Clear(MS_I_VERSION)),
    ("nolazytime", Clear(MS_LAZYTIME)),
    ("nomand", Clear(MS_MANDLOCK)),
    ("norelatime", Clear(MS_RELATIME)),
    ("nostrictatime", Clear(MS_STRICTATIME)),
    ("nosuid", Set(MS_NOSUID)),
    ("nosymfollow", Set(MS_NOSYMFOLLOW)),
    ("private", Propagation(MS_PRIVATE)),
    ("ratime", TreeAccessTime(MOUNT_ATTR_RELATIME)),
    ("rbind", Set(MS_BIND | MS_REC)),
    ("rdev", ClearTree(MOUNT_ATTR_NODEV)),
    ("rdiratime", ClearTree(MOUNT_ATTR_NODIRATIME)),
    ("relatime", Set(MS_RELATIME)),
    ("remount", Set(MS_REMOUNT)),
    ("rexec", ClearTree(MOUNT_ATTR_NOEXEC)),
    ("ridmap", Effect::IdMap { whole_tree: true }),
    ("rnoatime", TreeAccessTime(MOUNT_ATTR_NOATIME)),
    ("rnodev", SetTree(MOUNT_ATTR_NODEV)),
    ("rnodiratime", SetTree(MOUNT_ATTR_NODIRATIME)),
    ("rnoexec", SetTree(MOUNT_ATTR_NOEXEC)),
    ("rnorelatime", TreeAccessTime(MOUNT_ATTR_RELATIME)),
    ("rnostrictatime", TreeAccessTime(MOUNT_ATTR_RELATIME)),
    ("rnosuid", SetTree(MOUNT_ATTR_NOSUID)),
    ("rnosymfollow", SetTree(MOUNT_ATTR_NOSYMFOLLOW)),
    ("ro", Set(MS_RDONLY)),
    ("rprivate", Propagation(MS_PRIVATE | MS_REC)),
    ("rrelatime", TreeAccessTime(MOUNT_ATTR_RELATIME)),
    ("rro", SetTree(MOUNT_ATTR_RDONLY)),
    ("rrw", ClearTree(MOUNT_ATTR_RDONLY)),
    ("rshared", Propagation(MS_SHARED | MS_REC)),
    ("rslave", Propagation(MS_SLAVE | MS_REC)),
    ("rstrictatime", TreeAccessTime(MOUNT_ATTR_STRICTATIME)),
    ("rsuid", ClearTree(MOUNT_ATTR_NOSUID)),
    ("rsymfollow", ClearTree(MOUNT_ATTR_NOSYMFOLLOW)),
    ("runbindable", Propagation(MS_UNBINDABLE | MS_REC)),
    ("rw", Clear(MS_RDONLY)),
    ("shared", Propagation(MS_SHARED)),
    ("silent", Set(MS_SILENT)),
    ("slave", Propagation(MS_SLAVE)),
    ("src-nofollow", SourceNoFollow),
    ("strictatime", Set(MS_STRICTATIME)),
    ("suid", Clear(MS_NOSUID)),
    ("symfollow", Clear(MS_NOSYMFOLLOW)),
    ("sync", Set(MS_SYNCHRONOUS)),
    ("tmpcopyup", CopyUp),
    ("unbindable", Propagation(MS_UNBINDABLE)),
];

/// Words of fstab(5) that say who mounts when: nothing for a mount that is made now by
/// the runtime, but for the flags that mount(8) takes some of them to mean.
const FSTAB: [(&str, u64); 12] = [
    ("_netdev", 0),
    ("auto", 0),
    ("group", MS_NOSUID | MS_NODEV),
    ("noauto", 0),
    ("nofail", 0),
    ("nogroup", 0),
    ("noowner", 0),
    ("nouser", 0),
    ("nousers", 0),
    ("owner", MS_NOSUID | MS_NODEV),
    ("user", MS_NOEXEC | MS_NOSUID | MS_NODEV),
    ("users", MS_NOEXEC | MS_NOSUID | MS_NODEV),
];

/// Beginnings of words that are for programs which read fstab.
const FOR_OTHERS: [&str; 3] = ["x-", "X-", "comment="];

/// One of these says when access times change; the last one counts.
const ACCESS_TIME: u64 = MS_NOATIME | MS_RELATIME | MS_STRICTATIME;

/// Flags of a filesystem, not of a mount: a bind mount has them with its source.
const OF_FILESYSTEM: [(u64, &str); 6] = [
    (MS_POSIXACL, "acl"),
    (MS_SYNCHRONOUS, "sync"),
    (MS_DIRSYNC, "dirsync"),
    (MS_LAZYTIME, "lazytime"),
    (MS_MANDLOCK, "mand"),
    (MS_I_VERSION, "iversion"),
];

/// What the options of one mount amount to.
#[derive(Clone, Debug, std::default::Default, PartialEq, Eq)]
pub struct MountOptions {
    /// Flags of mount(2) to set, `MS_*`, without propagation.
    pub flags: u64,
    /// Flags of mount(2) that were cleared by name and must stay so where a
    /// bind mount would take them over from its source.
    pub cleared: u64,
    /// Changes of propagation, in order; each a propagation flag of mount(2),
    /// with `MS_REC` for the whole tree.
    pub propagation: Vec<u64>,
    /// Attributes for mount_setattr(2) with `AT_RECURSIVE` to set, `MOUNT_ATTR_*`.
    pub tree_set: u64,
    /// Attributes for mount_setattr(2) with `AT_RECURSIVE` to clear.
    pub tree_clear: u64,
    /// What is left for the file system, separated by commas.
    pub data: String,
    /// Whether a tmpfs starts with the files it covers.
    pub copy_up: bool,
    /// The id map of a bind mount.
    pub id_map: Option<IdMap>,
    /// Whether a source that is a symbolic link is recreated.
    pub copy_symlink: bool,
    /// Whether a source that is a symbolic link is taken as it is.
    pub source_nofollow: bool,
    /// Whether a destination that is a symbolic link is taken as it is.
    pub destination_nofollow: bool,
}

impl MountOptions {
    /// The options of `mount`, the object at the JSON pointer `base`. One of
    /// type bind is a bind mount even if no option says so.
    pub fn of(mount: &Mount, base: &str) -> Result<Self> {
        let pointer = member(base, "options");
        let mut options = collect(mount.options().as_deref().unwrap_or_default(), &pointer)?;
        match mount.typ().as_deref() {
            Some("bind") => options.flags |= MS_BIND,
            Some("rbind") => options.flags |= MS_BIND | MS_REC,
            _ => {}
        }
        options.checked(&pointer)
    }

    /// Whether it is a bind mount.
    pub fn is_bind(&self) -> bool {
        self.flags & MS_BIND != 0
    }

    /// Whether it is a bind mount with the mounts below its source.
    pub fn is_recursive(&self) -> bool {
        self.flags & MS_REC != 0
    }

    /// Whether attributes of the whole tree change: needs mount_setattr(2),
    /// Linux 5.12.
    pub fn changes_tree(&self) -> bool {
        self.tree_set != 0 || self.tree_clear != 0
    }

    /// Words that cannot do anything here, for the user to know. The kernel overlooks
    /// them, and so do others: engines and the conformance tests write such mounts.
    pub fn without_effect(&self) -> Option<String> {
        if !self.is_bind() {
            return None;
        }
        let flags = OF_FILESYSTEM.iter().filter(|(bit, _)| self.flags & bit != 0);
        let mut words: Vec<&str> = flags.map(|(_, word)| *word).collect();
        words.extend((!self.data.is_empty()).then_some(self.data.as_str()));
        words.extend(self.copy_up.then_some("tmpcopyup"));
        let list = words.join(",");
        (!words.is_empty()).then(|| {
            format!("a bind mount shares the filesystem of its source: {list} has no effect")
        })
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Default => {}
            Set(flags) => {
                if flags & ACCESS_TIME != 0 {
                    self.flags &= !ACCESS_TIME;
                }
                self.flags |= flags;
                self.cleared &= !flags;
            }
            Clear(flags) => {
                self.flags &= !flags;
                self.cleared |= flags;
            }
            Propagation(flags) => self.propagation.push(flags),
            SetTree(attributes) => {
                self.tree_set |= attributes;
                self.tree_clear &= !attributes;
            }
            ClearTree(attributes) => {
                self.tree_set &= !attributes;
                self.tree_clear |= attributes;
            }
            // It is one field: to be set it must be cleared (mount_setattr(2)).
            TreeAccessTime(value) => {
                self.tree_set = self.tree_set & !MOUNT_ATTR__ATIME | value;
                self.tree_clear |= MOUNT_ATTR__ATIME;
            }
            CopyUp => self.copy_up = true,
            Effect::IdMap { whole_tree } => self.id_map = Some(IdMap::of_container(whole_tree)),
            CopySymlink => self.copy_symlink = true,
            SourceNoFollow => self.source_nofollow = true,
            DestinationNoFollow => self.destination_nofollow = true,
        }
    }

    /// An id map, and what is done about symbolic links, are a bind mount's.
    fn checked(self, pointer: &str) -> Result<Self> {
        let refused =
            |message: &str, remedy: &str| Err(Error::config(pointer, message).hint(remedy));
        if self.id_map.is_some() && !self.is_bind() {
            return refused(
                "id-mapped mounts are only supported for bind-mounts",
                "add bind or rbind",
            );
        }
        if self.copy_symlink && (self.source_nofollow || self.destination_nofollow) {
            let message = "copy-symlink excludes src-nofollow and dest-nofollow";
            return refused(message, "remove one of them");
        }
        Ok(self)
    }
}

/// What `options`, the list at the JSON pointer `pointer`, amounts to.
pub fn parse(options: &[String], pointer: &str) -> Result<MountOptions> {
    collect(options, pointer)?.checked(pointer)
}

/// The words that are understood, sorted: what `features` lists.
pub fn names() -> Vec<&'static str> {
    TABLE.iter().map(|(name, _)| *name).collect()
}

fn collect(options: &[String], pointer: &str) -> Result<MountOptions> {
    let mut result = MountOptions::default();
    let mut data = Vec::new();
    for (index, option) in options.iter().enumerate() {
        if let Some(effect) = effect(option) {
            result.apply(effect);
        } else if let Some(flags) = for_fstab(option) {
            result.apply(Set(flags));
        } else if let Some(map) =
            IdMap::parse(option).map_err(|fault| fault.at(item(pointer, index)))?
        {
            result.id_map = Some(map);
        } else if let Some((word, _)) = option.split_once('=').filter(|(word, _)| is_flag(word)) {
            let message = format!("{word} takes no value, as in {option:?}");
            return Err(Error::config(item(pointer, index), message)
                .hint(format!("write {word}, or {word}=recursive where r{word} is known")));
        } else if !option.is_empty() {
            data.push(option.as_str());
        }
    }
    result.data = data.join(",");
    Ok(result)
}

/// Whether `word` alone is an option. Taken for the file system's, a value behind it
/// would leave the flag out.
fn is_flag(word: &str) -> bool {
    TABLE.binary_search_by(|(known, _)| (*known).cmp(word)).is_ok()
}

/// `WORD=recursive` is how mount(8) says rWORD.
fn effect(option: &str) -> Option<Effect> {
    let recursive = option.strip_suffix("=recursive").map(|word| format!("r{word}"));
    let name = recursive.as_deref().unwrap_or(option);
    let found = TABLE.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    let (_, effect) = TABLE.get(found)?;
    let of_tree = matches!(effect, SetTree(_) | ClearTree(_) | TreeAccessTime(_));
    (recursive.is_none() || of_tree).then_some(*effect)
}

/// The flags that a word of fstab means.
fn for_fstab(option: &str) -> Option<u64> {
    let word = FSTAB.iter().find(|(word, _)| *word == option).map(|(_, flags)| *flags);
    word.or_else(|| FOR_OTHERS.iter().any(|start| option.starts_with(start)).then_some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(options: &[&str]) -> MountOptions {
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        parse(&options, "/mounts/0/options").unwrap()
    }

    fn refusal(options: &[&str]) -> Error {
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        parse(&options, "/mounts/0/options").unwrap_err()
    }

    #[test]
    fn the_table_is_sorted_and_has_every_word_of_the_specification() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let specified = "async atime bind defaults dev diratime dirsync exec iversion lazytime \
            loud mand noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime \
            nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime relatime remount \
            rexec rnoatime rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro \
            rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw \
            shared silent slave strictatime suid symfollow sync tmpcopyup unbindable idmap ridmap";
        for word in specified.split_whitespace() {
            assert!(effect(word).is_some(), "{word}");
        }
        assert!(names().contains(&"rro"));
    }

    #[test]
    fn the_last_of_opposite_words_wins_and_a_cleared_flag_is_remembered() {
        let options = parsed(&["ro", "nosuid", "noexec", "rw", "suid", "nosuid", "defaults"]);
        assert_eq!(options.flags, MS_NOSUID | MS_NOEXEC);
        assert_eq!(options.cleared, MS_RDONLY);
    }

    #[test]
    fn every_single_word_has_an_effect_but_defaults() {
        for (name, _) in TABLE {
            let bind = if name.ends_with("idmap") { "bind" } else { "" };
            let plain = parsed(&[bind]);
            assert_eq!(parsed(&[bind, name]) == plain, name == "defaults", "{name}");
            assert_eq!(parsed(&[bind, name]).data, "", "{name}");
        }
    }

    #[test]
    fn what_is_not_in_the_table_goes_to_the_file_system() {
        let options = parsed(&["nosuid", "mode=755", "", "size=64k", "usrquota"]);
        assert_eq!(options.data, "mode=755,size=64k,usrquota");
    }

    #[test]
    fn propagation_keeps_its_order() {
        let options = parsed(&["rbind", "rslave", "unbindable"]);
        assert!(options.is_bind() && options.is_recursive());
        assert_eq!(options.propagation, [MS_SLAVE | MS_REC, MS_UNBINDABLE]);
    }

    #[test]
    fn attributes_of_the_tree_are_set_and_cleared_by_the_last_word() {
        let options = parsed(&["rro", "rnodev", "rdev", "rsuid", "rnosymfollow"]);
        assert_eq!(options.tree_set, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSYMFOLLOW);
        assert_eq!(options.tree_clear, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
        assert!(options.changes_tree() && !parsed(&["ro"]).changes_tree());
    }

    #[test]
    fn the_access_time_of_a_tree_is_one_value() {
        let options = parsed(&["rnoatime", "rstrictatime", "rnodiratime"]);
        assert_eq!(options.tree_set, MOUNT_ATTR_STRICTATIME | MOUNT_ATTR_NODIRATIME);
        assert_eq!(options.tree_clear, MOUNT_ATTR__ATIME);
        assert_eq!(parsed(&["rnoatime", "ratime"]).tree_set, MOUNT_ATTR_RELATIME);
    }

    #[test]
    fn words_of_fstab_do_not_reach_the_filesystem() {
        let all = FSTAB.map(|(word, _)| word);
        assert_eq!(parsed(&all).data, "");
        let options = parsed(&["x-systemd.automount", "comment=mine", "X-mount.mkdir", "noauto"]);
        assert_eq!(options, MountOptions::default());
        assert_eq!(parsed(&["user", "exec"]).flags, MS_NOSUID | MS_NODEV);
        assert_eq!(parsed(&["user=ada"]).data, "user=ada");
    }

    #[test]
    fn recursive_is_also_said_as_mount_says_it() {
        assert_eq!(parsed(&["rbind", "ro=recursive"]), parsed(&["rbind", "rro"]));
        for word in ["bind=recursive", "async=recursive", "ro=vfs"] {
            assert_eq!(refusal(&["bind", word]).pointer(), Some("/mounts/0/options/1"), "{word}");
        }
    }

    #[test]
    fn the_last_word_about_access_times_wins() {
        assert_eq!(parsed(&["noatime", "strictatime"]).flags, MS_STRICTATIME);
        assert_eq!(
            parsed(&["strictatime", "relatime", "nodiratime"]).flags,
            MS_RELATIME | MS_NODIRATIME
        );
    }

    #[test]
    fn what_a_bind_mount_cannot_have_is_told() {
        let told =
            parsed(&["rbind", "sync", "ro", "mode=755", "size=1k"]).without_effect().unwrap();
        assert!(told.contains("sync,mode=755,size=1k has no effect"), "{told}");
        assert_eq!(parsed(&["rbind", "ro", "silent"]).without_effect(), None);
        assert_eq!(parsed(&["sync", "mode=755"]).without_effect(), None);
    }

    #[test]
    fn links_and_maps_are_checked() {
        let error = refusal(&["bind", "copy-symlink", "src-nofollow"]);
        assert_eq!(error.pointer(), Some("/mounts/0/options"));
        assert!(refusal(&["idmap"]).to_string().contains("only supported for bind-mounts"));
        assert_eq!(refusal(&["bind", "idmap=x"]).pointer(), Some("/mounts/0/options/1"));
    }

    #[test]
    fn the_type_bind_makes_a_bind_mount() {
        let mount =
            |text: &str| MountOptions::of(&serde_json::from_str(text).unwrap(), "/mounts/4");
        let options = mount(r#"{"destination":"/a","type":"bind","options":["ro"]}"#).unwrap();
        assert_eq!(options.flags, MS_BIND | MS_RDONLY);
        assert!(!mount(r#"{"destination":"/a","type":"tmpfs"}"#).unwrap().is_bind());
        let error = mount(r#"{"destination":"/a","type":"tmpfs","options":["ridmap"]}"#);
        assert_eq!(error.unwrap_err().pointer(), Some("/mounts/4/options"));
    }
}
