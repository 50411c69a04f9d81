"""`setting` subjects from trees of files: which line is in force, and what is reported of the rest."""

import os

import pytest

from audit_tcp.probe import files
from audit_tcp.probe.host import MOST_ERRORS, Host
from audit_tcp.probe.settings import MOST_KEYS
from trees import PROC, grow

TIME = "net.ipv4.tcp_keepalive_time"


def collected(root):
    host = Host(str(root))
    subjects = {(kind, name): facts for kind, name, facts in files.collect(host)}
    return subjects, host.errors


def setting(root, key):
    facts = collected(root)[0][("setting", key)]
    return {name: fact["value"] for name, fact in facts.items()}


FORCE = [
    # files, links, key, (after a boot, after sysctl --system)
    ({"/etc/sysctl.d/50-x.conf": "A=101", "/usr/lib/sysctl.d/50-x.conf": "A=104"}, {}, (101, 101)),
    ({"/run/sysctl.d/50-x.conf": "A=102", "/usr/lib/sysctl.d/50-x.conf": "A=104"}, {}, (102, 102)),
    ({"/etc/sysctl.d/50-a.conf": "A=101", "/usr/lib/sysctl.d/60-b.conf": "A=104"}, {}, (104, 104)),
    ({"/etc/sysctl.d/99-z.conf": "A=101", "/etc/sysctl.conf": "A=200"}, {}, (101, 200)),
    ({"/etc/sysctl.conf": "A=200"}, {"/etc/sysctl.d/99-sysctl.conf": "../sysctl.conf"}, (200, 200)),
    ({"/etc/sysctl.d/99-zz.conf": "A=101", "/etc/sysctl.conf": "A=200"}, {"/etc/sysctl.d/99-sysctl.conf": "../sysctl.conf"}, (101, 200)),
    ({"/etc/sysctl.conf": "A=200"}, {}, (None, 200)),
    ({"/etc/sysctl.d/50-x.conf": "A=77\n-A"}, {}, (None, 77)),
    ({"/etc/sysctl.d/.50-x.conf": "A=77"}, {}, (None, 77)),
    ({"/etc/sysctl.d/50-x.conf": "net.ipv4.tcp_keepalive_*=66"}, {}, (66, 66)),
    ({"/etc/sysctl.d/50-x.conf": "A=5", "/lib/sysctl.d/60-y.conf": "A=6"}, {}, (6, 6)),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "links", "force"), FORCE)
def test_the_line_in_force(tmp_path, tree, links, force):
    grow(tmp_path, {**PROC, **{path: text.replace("A", TIME) for path, text in tree.items()}}, links)
    found = setting(tmp_path, TIME)
    assert (found.get("at_boot"), found.get("by_sysctl_system")) == force
    assert found["applied_at_boot"] == (force[0] is not None)


def test_origins_name_file_and_line(tmp_path):
    grow(tmp_path, {**PROC, "/etc/sysctl.d/9.conf": f"# first\n\n{TIME} = 60\n", "/etc/sysctl.conf": f"{TIME}=70"})
    facts = collected(tmp_path)[0][("setting", TIME)]
    assert facts["at_boot"] == {"value": 60, "origin": "/etc/sysctl.d/9.conf:3"}
    assert facts["by_sysctl_system"] == {"value": 70, "origin": "/etc/sysctl.conf:1"}
    assert facts["runtime"] == {"value": 7200, "origin": "/proc/sys/net/ipv4/tcp_keepalive_time"}


def test_a_masked_file_says_nothing(tmp_path):
    grow(tmp_path, {**PROC, "/usr/lib/sysctl.d/50-x.conf": f"{TIME}=104"}, {"/etc/sysctl.d/50-x.conf": "/dev/null"})
    subjects, errors = collected(tmp_path)
    assert ("setting", TIME) not in subjects
    assert errors == []


def test_an_interface_with_a_dot(tmp_path):
    grow(tmp_path, {**PROC, "/etc/sysctl.d/9.conf": "net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.all.rp_filter"})
    found = setting(tmp_path, "net.ipv4.conf.eth0/100.rp_filter")
    assert (found["runtime"], found["at_boot"]) == (0, 2)
    assert ("setting", "net.ipv4.conf.all.rp_filter") not in collected(tmp_path)[0]


def test_a_key_that_the_kernel_has_not_is_told_and_has_no_value_in_force(tmp_path):
    grow(tmp_path, {**PROC, "/etc/sysctl.d/9.conf": "net.ipv4.tcp_tw_recycle = 1"})
    found = setting(tmp_path, "net.ipv4.tcp_tw_recycle")
    assert found["exists"] is False
    assert "at_boot" not in found


def test_a_refused_value_is_told_and_the_one_before_stays(tmp_path):
    grow(
        tmp_path, {**PROC, "/etc/sysctl.d/9.conf": "net.ipv4.tcp_keepalive_probes=4\nnet.ipv4.tcp_keepalive_probes=300"}
    )
    found = setting(tmp_path, "net.ipv4.tcp_keepalive_probes")
    assert found["by_sysctl_system"] == 4
    assert found["refused"] == ["/etc/sysctl.d/9.conf:2 sets 300: legal is 0..255"]


def test_systemd_keeps_only_the_last_line_even_where_the_kernel_refuses_it(tmp_path):
    grow(tmp_path, {**PROC, "/etc/sysctl.d/9.conf": f"{TIME}=300\n{TIME}=x"})
    found = setting(tmp_path, TIME)
    assert "at_boot" not in found
    assert found["by_sysctl_system"] == 300


def test_lines_that_another_beats_are_told_once_and_only_the_administrators(tmp_path):
    grow(tmp_path, {
        **PROC,
        "/usr/lib/sysctl.d/10-v.conf": f"{TIME}=1", "/etc/sysctl.d/20-a.conf": f"{TIME}=2",
        "/etc/sysctl.d/30-b.conf": f"{TIME} = 3", "/etc/sysctl.d/40-c.conf": f"{TIME}=3",
    })  # fmt: skip
    assert setting(tmp_path, TIME)["overridden"] == ["/etc/sysctl.d/20-a.conf:1 = 2"]


def test_a_file_without_the_suffix_is_told_unless_it_is_prose(tmp_path):
    grow(tmp_path, {**PROC, "/etc/sysctl.d/50-tcp": f"{TIME}=5", "/etc/sysctl.d/README.sysctl": "Put files here.\n"})
    assert collected(tmp_path)[0][("host", "")]["sysctl.ignored_files"]["value"] == ["/etc/sysctl.d/50-tcp"]


def test_without_proc_values_are_predicted_and_nothing_is_said_of_the_kernel(tmp_path):
    grow(tmp_path, {"/etc/sysctl.d/9.conf": f"{TIME}=60 # c\nnet.ipv4.conf.*.rp_filter=1"})
    found = setting(tmp_path, TIME)
    assert found["at_boot"] == 60
    assert found.keys().isdisjoint({"exists", "runtime"})
    assert collected(tmp_path)[1] == [
        ("/etc/sysctl.d/9.conf:2", "a pattern; without /proc it is not known what it matches")
    ]


def unreadable(root):
    folder = root / "etc/sysctl.d"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "1.conf")
    (folder / "2.conf").mkdir()
    (folder / "3.conf").symlink_to("gone")
    (folder / "4.conf").symlink_to("4.conf")
    (folder / "5.conf").symlink_to("/etc/outside")
    with open(folder / "6.conf", "wb") as file:
        file.truncate(100 << 20)
    (folder / "7.conf").write_bytes(b"net.ipv4.tcp_keepalive_time = \xff\xfe\nnot an assignment\n")
    (folder / "8.conf").write_text(f"{TIME} = 88\n")


def test_what_cannot_be_read_is_told_and_the_rest_is_read(tmp_path):
    grow(tmp_path, PROC)
    (tmp_path / "outside").mkdir()
    unreadable(tmp_path)
    subjects, errors = collected(tmp_path)
    assert subjects[("setting", TIME)]["at_boot"]["value"] == 88
    folder = "/etc/sysctl.d/"
    assert errors == [
        (folder + "1.conf", "not a regular file"),
        (folder + "2.conf", "not a regular file"),
        (folder + "3.conf", "a link to a file that does not exist"),
        (folder + "4.conf", "too many symbolic links"),
        (folder + "5.conf", "a link to a file that does not exist"),
        (folder + "6.conf", f"larger than {files.LARGEST_FILE} bytes"),
        (folder + "7.conf:2", "not an assignment; the line has no effect"),
    ]


def test_links_of_a_tree_never_lead_out_of_it(tmp_path):
    secret = tmp_path / "secret.conf"
    secret.write_text(f"{TIME} = 13\n")
    root = tmp_path / "tree"
    grow(
        root,
        {**PROC, "/etc/hostname": "h"},
        {"/etc/sysctl.d/1.conf": str(secret), "/etc/sysctl.d/2.conf": "../../../secret.conf"},
    )
    subjects, errors = collected(root)
    assert ("setting", TIME) not in subjects
    assert len(errors) == 2


def test_key_material_never_leaves_and_no_key_climbs_out_of_proc(tmp_path):
    key = "11111111-22222222-33333333-44444444"
    grow(tmp_path, {
        **PROC, "/proc/sys/net/ipv4/tcp_fastopen_key": key, "/etc/shadow": "root:hash",
        "/proc/sys/net/ipv6/conf/all/stable_secret": key,
        "/etc/sysctl.d/1.conf": f"net.ipv4.tcp_fastopen_key = {key}\nnet.ipv4.tcp_fastopen_key = {key}0\n"
        f"net.ipv6.conf.*.stable_* = {key}\nnet/../../../etc/shadow = 1\nnet/../../../etc/sha* = 1\n",
    })  # fmt: skip
    subjects, errors = collected(tmp_path)
    said = repr((subjects, errors))
    assert key not in said
    assert "root:hash" not in said
    assert subjects[("setting", "net.ipv4.tcp_fastopen_key")]["at_boot"]["value"] == "(hidden)"


def test_sizes_are_bounded_and_what_is_left_out_is_told(tmp_path):
    many = "".join(f"net.a{number}=1\n" for number in range(MOST_KEYS + 5))
    grow(tmp_path, {**PROC, "/etc/sysctl.d/1.conf": many, "/etc/sysctl.d/2.conf": "?\n" * 3000})
    subjects, errors = collected(tmp_path)
    assert len(subjects) == MOST_KEYS + 1
    assert ("sysctl files", "more than 10000 keys are set; the rest is not judged") in errors
    assert ("/etc/sysctl.d/2.conf", "2980 further lines are no assignments") in errors
    assert len(errors) == files.MOST_BAD_LINES + 2


def test_errors_are_bounded_and_the_rest_is_counted(tmp_path):
    host = Host(str(tmp_path))
    for number in [*range(MOST_ERRORS + 7), 0]:
        host.unread(f"/{number}", "x")
    assert len(host.errors) == MOST_ERRORS + 1
    assert host.errors[-1] == ("further errors", "8 more")


def subject_of(root, kind, name):
    facts = collected(root)[0].get((kind, name))
    return facts and {key: fact["value"] for key, fact in facts.items()}


def test_what_a_boot_would_change_is_judged_like_a_namespace(tmp_path):
    grow(
        tmp_path,
        {**PROC, "/etc/sysctl.d/9.conf": f"{TIME}=60\nnet.ipv4.tcp_fin_timeout=60", "/etc/sysctl.conf": f"{TIME}=70"},
    )
    boot = subject_of(tmp_path, "netns", "host after a boot")
    assert (boot[TIME], boot["keepalive_detection_s"], boot["keepalive_second_probe_s"]) == (60, 735, 135)
    assert "net.ipv4.tcp_fin_timeout" not in boot  # runs already
    assert "ephemeral_ports" not in boot  # does not change
    assert subject_of(tmp_path, "netns", "host after sysctl --system")[TIME] == 70
    assert collected(tmp_path)[0][("netns", "host after a boot")][TIME]["origin"] == "/etc/sysctl.d/9.conf:1"


def test_where_the_files_run_already_nothing_is_pending(tmp_path):
    grow(tmp_path, {**PROC, "/etc/sysctl.d/9.conf": f"{TIME}=7200"})
    assert {name for kind, name in collected(tmp_path)[0] if kind == "netns"} == set()


def test_the_files_of_a_tree_without_proc_are_pending(tmp_path):
    grow(tmp_path, {"/etc/sysctl.d/9.conf": "net.ipv4.tcp_keepalive_probes=0"})
    assert subject_of(tmp_path, "netns", "host after a boot")["net.ipv4.tcp_keepalive_probes"] == 0


def test_half_a_port_range_meets_the_kernels_own_at_a_boot(tmp_path):
    grow(
        tmp_path,
        {
            **PROC,
            "/proc/sys/net/ipv4/ip_local_port_range": "1024 2000\n",
            "/etc/sysctl.d/9.conf": "net.ipv4.ip_local_port_range=20000",
        },
    )
    found = setting(tmp_path, "net.ipv4.ip_local_port_range")
    assert (found["at_boot"], found["refused"]) == ([20000, 60999], [])


def test_a_read_only_key_is_refused(tmp_path):
    grow(tmp_path, {**PROC, "/etc/sysctl.d/9.conf": "net.core.somaxconn=5"})
    (tmp_path / "proc/sys/net/core/somaxconn").chmod(0o444)
    assert setting(tmp_path, "net.core.somaxconn")["refused"] == ["/etc/sysctl.d/9.conf:1 sets 5: the key is read-only"]


def test_names_that_are_no_utf_8_and_leftovers_of_editors_do_no_harm(tmp_path):
    grow(tmp_path, {**PROC, "/etc/sysctl.d/9.conf": f"{TIME}=60"})
    for name in (b"caf\xe9.conf", b"9.conf.bak", b"9.conf~", b"9.conf.dpkg-old", b"9.conf.rpmsave"):
        with open(os.fsencode(tmp_path) + b"/etc/sysctl.d/" + name, "w") as file:
            file.write("net.core.somaxconn=5")
    assert setting(tmp_path, "net.core.somaxconn")["at_boot"] == 5
    assert collected(tmp_path)[0][("host", "")]["sysctl.ignored_files"]["value"] == []


def test_patterns_stay_within_the_tree_and_are_bounded(tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / ".ssh").write_text("x")
    lines = "net/evil/.* = 1\nnet/evil/* = 1\n" + "net.core.som* = 5\n" * 300
    grow(tmp_path / "tree", {**PROC, "/etc/sysctl.d/9.conf": lines}, {"/proc/sys/net/evil": str(tmp_path / "secrets")})
    subjects, errors = collected(tmp_path / "tree")
    assert {name for kind, name in subjects if kind == "setting"} == {"net.core.somaxconn"}
    assert ("sysctl files", "more than 200 patterns; the rest is not judged") in errors


@pytest.mark.parametrize(
    "key",
    [
        "net.ipv4/tcp_fastopen_key",
        "net/ipv4/tcp_fastopen_key/",
        "net.ipv4.tcp_fastopen_keys",
        "net.core.netdev_rss_key",
    ],
)
def test_a_mistyped_key_does_not_give_key_material_away(tmp_path, key):
    grow(tmp_path, {**PROC, "/etc/sysctl.d/9.conf": f"{key} = 1111-2222-3333\n{key} = 4444-5555"})
    assert "2222" not in repr(collected(tmp_path))
    assert "5555" not in repr(collected(tmp_path))


def test_a_relative_mask_masks(tmp_path):
    grow(tmp_path, {**PROC, "/usr/lib/sysctl.d/9.conf": f"{TIME}=60"}, {"/etc/sysctl.d/9.conf": "../../dev/null"})
    subjects, errors = collected(tmp_path)
    assert (("setting", TIME) in subjects, errors) == (False, [])
