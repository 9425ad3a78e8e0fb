//! The messages of CRIU's RPC that are spoken here: those parts of its `rpc.proto`
//! (protocol buffers, version 2) that a runtime needs, with its names and numbers.

/// What is asked: `criu_req`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Request {
    /// What for, one of [`kind`].
    #[prost(int32, required, tag = "1")]
    pub(crate) kind: i32,
    /// How, for a dump or a restore.
    #[prost(message, optional, tag = "2")]
    pub(crate) opts: Option<Opts>,
    /// The answer to a notification.
    #[prost(bool, optional, tag = "3")]
    pub(crate) notify_success: Option<bool>,
    /// The features that are asked for.
    #[prost(message, optional, tag = "5")]
    pub(crate) features: Option<Features>,
}

/// What is answered: `criu_resp`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Response {
    /// To what, one of [`kind`].
    #[prost(int32, required, tag = "1")]
    pub(crate) kind: i32,
    /// Whether it was done.
    #[prost(bool, required, tag = "2")]
    pub(crate) success: bool,
    /// Of a restore.
    #[prost(message, optional, tag = "4")]
    pub(crate) restore: Option<Restored>,
    /// What has been reached.
    #[prost(message, optional, tag = "5")]
    pub(crate) notify: Option<Notify>,
    /// Why it was not done.
    #[prost(int32, optional, tag = "7")]
    pub(crate) cr_errno: Option<i32>,
    /// Which of the features there are.
    #[prost(message, optional, tag = "8")]
    pub(crate) features: Option<Features>,
    /// Why it was not done, in words (criu 3.2).
    #[prost(string, optional, tag = "9")]
    pub(crate) cr_errmsg: Option<String>,
    /// Of criu itself.
    #[prost(message, optional, tag = "10")]
    pub(crate) version: Option<Version>,
}

/// Kinds of requests and their answers: `criu_req_type`.
pub(crate) mod kind {
    /// Save and end, unless it is to go on.
    pub(crate) const DUMP: i32 = 1;
    /// Bring back.
    pub(crate) const RESTORE: i32 = 2;
    /// Save memory only; all goes on.
    pub(crate) const PRE_DUMP: i32 = 4;
    /// A step of a dump or a restore, to be answered.
    pub(crate) const NOTIFY: i32 = 6;
    /// What criu and the kernel can.
    pub(crate) const FEATURE_CHECK: i32 = 9;
    /// Which criu it is.
    pub(crate) const VERSION: i32 = 10;

    /// The name that criu has for it.
    pub(crate) fn name(kind: i32) -> &'static str {
        match kind {
            DUMP => "DUMP",
            RESTORE => "RESTORE",
            PRE_DUMP => "PRE_DUMP",
            NOTIFY => "NOTIFY",
            FEATURE_CHECK => "FEATURE_CHECK",
            VERSION => "VERSION",
            _ => "EMPTY",
        }
    }
}

/// Options of a dump or a restore: `criu_opts`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Opts {
    /// Where images are, by a descriptor of the caller's.
    #[prost(int32, required, tag = "1")]
    pub(crate) images_dir_fd: i32,
    /// What is dumped.
    #[prost(int32, optional, tag = "2")]
    pub(crate) pid: Option<i32>,
    /// Let it go on after a dump.
    #[prost(bool, optional, tag = "3")]
    pub(crate) leave_running: Option<bool>,
    /// Sockets may be connected to others outside.
    #[prost(bool, optional, tag = "4")]
    pub(crate) ext_unix_sk: Option<bool>,
    /// TCP connections are kept.
    #[prost(bool, optional, tag = "5")]
    pub(crate) tcp_established: Option<bool>,
    /// A device is opened by any path that leads to it.
    #[prost(bool, optional, tag = "6")]
    pub(crate) evasive_devices: Option<bool>,
    /// The session and terminal may be somebody else's.
    #[prost(bool, optional, tag = "7")]
    pub(crate) shell_job: Option<bool>,
    /// File locks are kept.
    #[prost(bool, optional, tag = "8")]
    pub(crate) file_locks: Option<bool>,
    /// How much is logged.
    #[prost(int32, optional, tag = "9")]
    pub(crate) log_level: Option<i32>,
    /// The log, below the working directory.
    #[prost(string, optional, tag = "10")]
    pub(crate) log_file: Option<String>,
    /// Where pages go.
    #[prost(message, optional, tag = "11")]
    pub(crate) ps: Option<PageServer>,
    /// Tell of each step, and wait for the answer.
    #[prost(bool, optional, tag = "12")]
    pub(crate) notify_scripts: Option<bool>,
    /// The root file system.
    #[prost(string, optional, tag = "13")]
    pub(crate) root: Option<String>,
    /// The images of an earlier dump, relative to these.
    #[prost(string, optional, tag = "14")]
    pub(crate) parent_img: Option<String>,
    /// Track which memory changes from now on.
    #[prost(bool, optional, tag = "15")]
    pub(crate) track_mem: Option<bool>,
    /// Take out of older images what newer ones have.
    #[prost(bool, optional, tag = "16")]
    pub(crate) auto_dedup: Option<bool>,
    /// Where logs are, by a descriptor of the caller's.
    #[prost(int32, optional, tag = "17")]
    pub(crate) work_dir_fd: Option<i32>,
    /// Link files back that have no name any more.
    #[prost(bool, optional, tag = "18")]
    pub(crate) link_remap: Option<bool>,
    /// Mounts that come from outside.
    #[prost(message, repeated, tag = "23")]
    pub(crate) ext_mnt: Vec<ExternalMount>,
    /// Whether cgroups are dealt with.
    #[prost(bool, optional, tag = "24")]
    pub(crate) manage_cgroups: Option<bool>,
    /// Where the container's cgroups are.
    #[prost(message, repeated, tag = "25")]
    pub(crate) cg_root: Vec<CgroupRoot>,
    /// What is restored is a child of the caller's.
    #[prost(bool, optional, tag = "26")]
    pub(crate) rst_sibling: Option<bool>,
    /// Files that are criu's own descriptors.
    #[prost(message, repeated, tag = "27")]
    pub(crate) inherit_fd: Vec<InheritFd>,
    /// How cgroups are dealt with: `criu_cg_mode`.
    #[prost(int32, optional, tag = "34")]
    pub(crate) manage_cgroups_mode: Option<i32>,
    /// What else comes from outside.
    #[prost(string, repeated, tag = "37")]
    pub(crate) external: Vec<String>,
    /// CLONE_NEW* flags of namespaces whose content is left out.
    #[prost(uint32, optional, tag = "38")]
    pub(crate) empty_ns: Option<u32>,
    /// Namespaces to restore in.
    #[prost(message, repeated, tag = "39")]
    pub(crate) join_ns: Vec<JoinNamespace>,
    /// The cgroup that holds everything still.
    #[prost(string, optional, tag = "44")]
    pub(crate) freeze_cgroup: Option<String>,
    /// TCP connections that are being made are left out.
    #[prost(bool, optional, tag = "46")]
    pub(crate) tcp_skip_in_flight: Option<bool>,
    /// Memory comes later, when it is used.
    #[prost(bool, optional, tag = "48")]
    pub(crate) lazy_pages: Option<bool>,
    /// A descriptor that is told when pages are served.
    #[prost(int32, optional, tag = "49")]
    pub(crate) status_fd: Option<i32>,
    /// Send the master of a terminal that has nobody.
    #[prost(bool, optional, tag = "50")]
    pub(crate) orphan_pts_master: Option<bool>,
    /// A file of criu's options, which win.
    #[prost(string, optional, tag = "51")]
    pub(crate) config_file: Option<String>,
    /// TCP connections are closed.
    #[prost(bool, optional, tag = "52")]
    pub(crate) tcp_close: Option<bool>,
    /// TYPE:NAME of the security label.
    #[prost(string, optional, tag = "53")]
    pub(crate) lsm_profile: Option<String>,
    /// The label of mounts that have one.
    #[prost(string, optional, tag = "63")]
    pub(crate) lsm_mount_context: Option<String>,
    /// How packets are held back: `criu_network_lock_method`.
    #[prost(int32, optional, tag = "64")]
    pub(crate) network_lock: Option<i32>,
}

/// `criu_page_server_info`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PageServer {
    /// Its host.
    #[prost(string, optional, tag = "1")]
    pub(crate) address: Option<String>,
    /// Its port.
    #[prost(int32, optional, tag = "2")]
    pub(crate) port: Option<i32>,
}

/// `ext_mount_map`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct ExternalMount {
    /// The mount point in a dump, its name in a restore.
    #[prost(string, required, tag = "1")]
    pub(crate) key: String,
    /// Its name in a dump, what is mounted in a restore.
    #[prost(string, required, tag = "2")]
    pub(crate) val: String,
}

/// `cgroup_root`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CgroupRoot {
    /// The controllers of the hierarchy.
    #[prost(string, optional, tag = "1")]
    pub(crate) ctrl: Option<String>,
    /// The cgroup in it.
    #[prost(string, required, tag = "2")]
    pub(crate) path: String,
}

/// `inherit_fd`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InheritFd {
    /// What the dump calls it.
    #[prost(string, required, tag = "1")]
    pub(crate) key: String,
    /// A descriptor of criu's.
    #[prost(int32, required, tag = "2")]
    pub(crate) fd: i32,
}

/// `join_namespace`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct JoinNamespace {
    /// Its type.
    #[prost(string, required, tag = "1")]
    pub(crate) ns: String,
    /// Its file.
    #[prost(string, required, tag = "2")]
    pub(crate) ns_file: String,
}

/// `criu_features`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Features {
    /// Which memory changes can be tracked.
    #[prost(bool, optional, tag = "1")]
    pub(crate) mem_track: Option<bool>,
    /// Memory can come later.
    #[prost(bool, optional, tag = "2")]
    pub(crate) lazy_pages: Option<bool>,
}

/// `criu_restore_resp`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Restored {
    /// The first process.
    #[prost(int32, required, tag = "1")]
    pub(crate) pid: i32,
}

/// `criu_notify`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Notify {
    /// The step.
    #[prost(string, optional, tag = "1")]
    pub(crate) script: Option<String>,
    /// The first process, once there is one.
    #[prost(int32, optional, tag = "2")]
    pub(crate) pid: Option<i32>,
}

/// `criu_version`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Version {
    /// The first number.
    #[prost(int32, required, tag = "1")]
    pub(crate) major: i32,
    /// The second.
    #[prost(int32, required, tag = "2")]
    pub(crate) minor: i32,
    /// The commit, where it is no release.
    #[prost(string, optional, tag = "3")]
    pub(crate) gitid: Option<String>,
    /// The third.
    #[prost(int32, optional, tag = "4")]
    pub(crate) sublevel: Option<i32>,
}

impl Version {
    /// As one number: 31700 is 3.17. What is no release is of the next one.
    pub(crate) fn number(&self) -> i32 {
        let released = self.major.saturating_mul(10_000).saturating_add(self.minor * 100);
        match self.gitid {
            Some(_) => released.saturating_add(100),
            None => released.saturating_add(self.sublevel.unwrap_or(0)),
        }
    }
}

/// The first record of an image of a pagemap: `pagemap_head`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PagemapHead {
    /// The number of the file of pages.
    #[prost(uint32, required, tag = "1")]
    pub(crate) pages_id: u32,
}

/// Pages that follow each other: `pagemap_entry`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PagemapEntry {
    /// How many, before criu 4.1.
    #[prost(uint32, required, tag = "2")]
    pub(crate) compat_nr_pages: u32,
    /// Whether they are in the images of an earlier dump, before criu 3.
    #[prost(bool, optional, tag = "3")]
    pub(crate) in_parent: Option<bool>,
    /// Where they are.
    #[prost(uint32, optional, tag = "4")]
    pub(crate) flags: Option<u32>,
    /// How many.
    #[prost(uint64, optional, tag = "5")]
    pub(crate) nr_pages: Option<u64>,
}

impl PagemapEntry {
    /// How many pages of these are in the file of pages.
    pub(crate) fn present(&self) -> u64 {
        const PRESENT: u32 = 4;
        let here = match self.flags {
            Some(flags) => flags & PRESENT != 0,
            None => self.in_parent != Some(true),
        };
        if here { self.nr_pages.unwrap_or(self.compat_nr_pages.into()) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    #[test]
    fn messages_are_encoded_as_rpc_proto_says() {
        let request = Request {
            kind: kind::DUMP,
            opts: Some(Opts {
                images_dir_fd: 5,
                tcp_established: Some(true),
                ext_mnt: vec![ExternalMount { key: "/a".to_owned(), val: "b".to_owned() }],
                ..Opts::default()
            }),
            ..Request::default()
        };
        // Field 1, varint 1; field 2, a message of 14 bytes: 1 = 5, 5 = true, 23 = {1 = "/a", 2 = "b"}.
        let expected = [
            0x08, 1, 0x12, 14, 0x08, 5, 0x28, 1, 0xba, 0x01, 7, 0x0a, 2, b'/', b'a', 0x12, 1, b'b',
        ];
        assert_eq!(request.encode_to_vec(), expected);
    }

    #[test]
    fn answers_with_fields_that_are_not_known_are_read() {
        // VERSION, done; 10 = {1 = 4, 2 = 2, 4 = 1, 6 = "x"}, and field 11, which is left out here.
        let bytes = [0x08, 10, 0x10, 1, 0x52, 9, 8, 4, 16, 2, 32, 1, 0x32, 1, b'x', 0x58, 7];
        let response = Response::decode(&bytes[..]).unwrap();
        assert_eq!((response.kind, response.success), (kind::VERSION, true));
        assert_eq!(response.version.unwrap().number(), 40201);
        assert!(Response::decode(&bytes[..7]).is_err());
    }
}
