"""A repository's own configuration names programs: none of them is run, and nothing is fetched or borrowed."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

from runscope.cli import main
from runscope.errors import InputError, RunscopeError, UnsafeFile
from runscope.hub import list_repository
from runscope.hub.git.repo import GitRepo
from tests.hub import repos
from tests.servers.git_store import GitStore

PROGRAMS = (
    "core.fsmonitor", "core.hooksPath", "core.pager", "core.editor",
    "core.sshCommand", "core.gitProxy", "core.askPass", "core.alternateRefsCommand",
    "core.attributesFile", "core.excludesFile", "core.worktree", "credential.helper",
    "credential.https://x.example.helper", "gpg.program", "gpg.openpgp.program", "gpg.x509.program",
    "gpg.ssh.program", "gpg.ssh.defaultKeyCommand", "diff.external", "diff.lfs.textconv",
    "diff.lfs.command", "filter.lfs.clean", "filter.lfs.smudge", "filter.lfs.process",
    "merge.lfs.driver", "mergetool.x.cmd", "difftool.x.cmd", "merge.tool",
    "browser.x.cmd", "web.browser", "man.x.cmd", "guitool.x.cmd",
    "pager.log", "pager.cat-file", "interactive.diffFilter", "sequence.editor",
    "trailer.x.command", "trailer.x.cmd", "uploadpack.packObjectsHook", "remote.origin.uploadpack",
    "remote.origin.receivepack", "remote.origin.vcs", "remote.origin.proxy", "remote.origin.url",
    "url.ext::sh.insteadOf", "alias.log", "alias.cat-file", "alias.rev-parse",
    "init.templateDir", "submodule.x.update", "gc.recentObjectsHook", "lfs.customtransfer.x.path",
    "lfs.extension.x.clean", "ssh.variant", "http.proxy", "http.cookieFile",
    "sendemail.sendmailCmd", "sendemail.toCmd", "imap.tunnel", "instaweb.httpd",
    "hook.x.command", "tar.x.command", "commit.template", "log.mailmap",
    "mailmap.file", "maintenance.auto",
)  # fmt: skip


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "it-ran"


@pytest.fixture
def program(tmp_path: Path, mark: Path) -> Path:
    """Leaves a mark when it is run, whatever for."""
    path = tmp_path / "program"
    path.write_text(f"#!/bin/sh\ntouch '{mark}'\ncat\nexit 0\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with a checkpoint, a signed commit and attributes that ask for filters."""
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    store = GitStore.create(tmp_path / "origin.git")
    store.commit("step 100", repos.adapter(1) | {".gitattributes": b"* filter=lfs diff=lfs merge=lfs\n"})
    store.commit("step 200", repos.adapter(2))
    _sign(store)
    path = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(store.path), str(path)], check=True)
    return path


def _sign(store: GitStore) -> None:
    """Make the newest commit one that bears a signature: whoever shows it calls ``gpg.program``."""
    text = store.git("cat-file", "commit", "main")
    head, _, rest = text.partition(b"\n\n")
    signature = b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n AAAA\n -----END PGP SIGNATURE-----"
    made = store.git(
        "hash-object", "-t", "commit", "-w", "--stdin", data=head + b"\n" + signature + b"\n\n" + rest
    )
    store.git("update-ref", "refs/heads/main", made.decode().strip())


def configure(clone: Path, key: str, value: str) -> None:
    subprocess.run(["git", "config", "--add", key, value], cwd=clone, check=True)


def read_all(path: Path) -> int:
    """Everything that is ever read of a repository; how many checkpoints it has."""
    listing = list_repository(str(path))
    repo = GitRepo.open(path)
    for checkpoint in listing.checkpoints:
        assert repo.content(str(checkpoint.revision), "adapter_config.json").startswith(b"{")
        assert repo.header(str(checkpoint.revision), "adapter_model.safetensors")
    repo.refs()
    repo.notes([], None)
    return len(listing.checkpoints)


def test_the_marks_are_left_where_git_itself_reads_the_repository(
    clone: Path, program: Path, mark: Path
) -> None:
    """What the other tests prove is worth something only if the traps work."""
    configure(clone, "log.showSignature", "true")
    configure(clone, "gpg.program", str(program))
    subprocess.run(["git", "log", "-1"], cwd=clone, capture_output=True, check=True)
    assert mark.exists()
    mark.unlink()
    configure(clone, "core.fsmonitor", str(program))
    subprocess.run(["git", "status"], cwd=clone, capture_output=True, check=True)
    assert mark.exists()


def test_no_key_of_its_configuration_runs_a_program(clone: Path, program: Path, mark: Path) -> None:
    configure(clone, "log.showSignature", "true")
    for key in PROGRAMS:
        configure(clone, key, str(program))
    included = clone / ".git" / "more"
    included.write_text(f"[gpg]\n\tprogram = {program}\n")
    configure(clone, "includeIf.gitdir:/.path", str(included))
    configure(clone, "include.path", str(included))
    # Set by git itself these would keep it from reading the repository at all.
    for name in (
        "pre-commit",
        "post-checkout",
        "reference-transaction",
        "post-index-change",
        "fsmonitor-watchman",
    ):
        hook = clone / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_bytes(program.read_bytes())
        hook.chmod(0o755)
    assert read_all(clone) == 2
    assert main(["checkpoints", str(clone)]) == 0
    assert not mark.exists()


def test_no_single_key_runs_a_program(clone: Path, program: Path, mark: Path) -> None:
    """One key may make git refuse another: so each of them alone."""
    configure(clone, "log.showSignature", "true")
    settings = clone / ".git" / "config"
    before = settings.read_bytes()
    for key in PROGRAMS:
        settings.write_bytes(before)
        configure(clone, key, str(program))
        assert GitRepo.open(clone).commits()[-1].title == "step 200", key
        assert not mark.exists(), key


def test_the_environment_names_no_program_either(
    clone: Path, program: Path, mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "GIT_EXTERNAL_DIFF",
        "GIT_PAGER",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_ASKPASS",
        "GIT_PROXY_COMMAND",
        "PAGER",
    ):
        monkeypatch.setenv(name, str(program))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "gpg.program")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(program))
    assert read_all(clone) == 2
    assert not mark.exists()


def test_a_promised_content_is_not_fetched(clone: Path, program: Path, mark: Path, tmp_path: Path) -> None:
    origin = tmp_path / "origin.git"
    GitStore(origin).git("config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    subprocess.run(
        ["git", "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{origin}", str(partial)],
        check=True,
    )
    configure(partial, "remote.origin.uploadpack", str(program))
    listing = list_repository(str(partial))
    assert any("partial" in note for note in listing.notes)
    revision = GitRepo.open(partial).commits()[-1].revision
    with pytest.raises(InputError, match="cannot read") as caught:
        GitRepo.open(partial).content(revision, "adapter_config.json")
    assert "--refetch" in caught.value.hint
    assert not mark.exists()


def test_objects_of_another_place_are_not_borrowed(clone: Path, tmp_path: Path) -> None:
    secret = GitStore.create(tmp_path / "secret.git")
    secret.commit("mine alone", {"a.txt": b"secret"})
    (clone / ".git" / "objects" / "info").mkdir(exist_ok=True)
    (clone / ".git" / "objects" / "info" / "alternates").write_text(f"{secret.path / 'objects'}\n")
    with pytest.raises(UnsafeFile, match="outside"):
        GitRepo.open(clone)


def test_a_work_tree_has_the_commits_of_its_clone(clone: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    subprocess.run(["git", "worktree", "add", "-q", str(tree), "-b", "other"], cwd=clone, check=True)
    assert [c.title for c in GitRepo.open(tree).commits()][-1] == "step 200"


def test_a_pipe_in_the_place_of_an_object_is_refused(clone: Path) -> None:
    os.mkfifo(clone / ".git" / "objects" / "pack" / "pack-0000.idx")
    with pytest.raises(UnsafeFile, match="pipe"):
        GitRepo.open(clone)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_another_user_is_read_where_the_user_allows_it(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SUDO_UID", raising=False)
    os.chown(clone / ".git", 12345, 12345)
    with pytest.raises(UnsafeFile, match="another user") as caught:
        GitRepo.open(clone)
    assert "safe.directory" in caught.value.hint
    (tmp_path / ".gitconfig").write_text(f"[safe]\n\tdirectory = {clone / '.git'}\n")
    assert GitRepo.open(clone).commits()


def test_titles_and_names_with_unusual_line_ends_stay_whole(clone: Path, tmp_path: Path) -> None:
    store = GitStore(tmp_path / "origin.git")
    title = "step 300\u2028and\u2029so\x85on"
    store.commit(title, repos.adapter(3))
    store.git("update-ref", "refs/heads/odd\u2028name", store.head() or "")
    repo = GitRepo.open(store.path)
    assert repo.commits()[-1].title == title
    assert "odd\u2028name" in {ref.name for ref in repo.refs()}


@pytest.mark.parametrize("digits", [400, 5000])
def test_a_step_longer_than_any_number_is_none(clone: Path, tmp_path: Path, digits: int) -> None:
    GitStore(tmp_path / "origin.git").commit(f"step {'9' * digits} epoch {'9' * digits}", repos.adapter(4))
    assert list_repository(str(tmp_path / "origin.git")).checkpoints[-1].own_step is None


def test_a_bundle_is_unpacked_by_many_at_once(clone: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "x.bundle"
    subprocess.run(["git", "bundle", "create", "-q", str(bundle), "--all"], cwd=clone, check=True)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: len(GitRepo.open(bundle).commits()), range(12)))
    assert set(found) == {3}
    assert [p.name for p in (tmp_path / "home" / "bundles").iterdir() if p.name.startswith(".")] == []


def test_a_bundle_needs_no_cache(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "x.bundle"
    subprocess.run(["git", "bundle", "create", "-q", str(bundle), "--all"], cwd=clone, check=True)
    (tmp_path / "a-file").write_text("")
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "a-file"))
    assert len(GitRepo.open(bundle).commits()) == 3


def test_a_bundle_that_needs_other_commits_is_refused(clone: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "x.bundle"
    words = ["git", "bundle", "create", "-q", str(bundle), "HEAD~1..HEAD"]
    subprocess.run(words, cwd=clone, check=True)
    with pytest.raises(InputError, match="needs commits"):
        GitRepo.open(bundle)


@pytest.mark.parametrize("broken", ["HEAD", "packed-refs", "shallow", "commondir", "objects"])
def test_a_damaged_repository_is_refused_in_words(clone: Path, broken: str) -> None:
    place = clone / ".git" / broken
    if place.is_dir():
        place.rename(place.with_name("gone"))
    else:
        place.write_bytes(b"\xff\x00../..\n" * 3)
    with pytest.raises(RunscopeError) if broken in ("objects", "commondir") else nullcontext():
        GitRepo.open(clone).commits()
