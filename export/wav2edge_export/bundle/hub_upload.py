"""A bundle to the Hugging Face Hub, with its card: in one commit, so that a reader finds the old one or the new one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, get_token, hf_hub_download
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from wav2edge import __version__
from wav2edge.bundle.folder import HUB_NAME, Bundle
from wav2edge.bundle.hub import quietly, reason_of
from wav2edge.bundle.manifest import MANIFEST
from wav2edge.errors import BundleError, UsageError

OF_NEW_REPOSITORIES = {".gitattributes", "README.md", "LICENSE"}
"""What a repository holds that was made by hand and has nothing in it yet."""


@dataclass(frozen=True, kw_only=True)
class HubTarget:
    """Where a bundle is to be uploaded.

    Attributes:
        name: of the repository, ``owner/name``; it is made where there is none.
        revision: a branch, which is made where there is none; the main branch where None.
        public: whether a repository that is made can be seen by everyone; one that exists stays as it is.

    Raises:
        UsageError: this is no name of a repository.
    """

    name: str
    revision: str | None = None
    public: bool = False

    def __post_init__(self) -> None:
        if HUB_NAME.fullmatch(self.name) is None:
            raise UsageError(f"{self.name!r} is no repository on the Hub; give owner/name")


def check_target(target: HubTarget) -> None:
    """Refuse what an upload would fail at, before minutes are spent on an export.

    Raises:
        UsageError: there is no connection or no login, or the repository holds something else, such as a checkpoint.
        BundleError: the Hub does not answer as it should.
    """
    if constants.HF_HUB_OFFLINE:
        raise UsageError(f"{target.name}: HF_HUB_OFFLINE is set, and an upload needs the Hub; unset it")
    if get_token() is None:
        raise UsageError(f"{target.name}: an upload needs a login; run: hf auth login")
    try:
        with quietly():
            found = _files(HfApi(), target)
    except Exception as error:  # those of its HTTP library come through, and differ between its versions
        raise BundleError(f"{target.name}: the Hub refuses ({reason_of(error)}); check network and login") from None
    if MANIFEST not in found and not found <= OF_NEW_REPOSITORIES:
        other = min(found - OF_NEW_REPOSITORIES)
        raise UsageError(f"{target.name}: holds something other than a bundle, such as {other}; give another name")


def push(bundle: Bundle, target: HubTarget) -> str:
    """Upload a bundle; files of an earlier one that are no longer there are removed in the same commit.

    Returns:
        The commit.

    Raises:
        BundleError: the upload failed; the bundle on disk is complete, and what was on the Hub is as it was.
    """
    api = HfApi()
    try:
        with quietly():
            api.create_repo(target.name, private=not target.public, exist_ok=True)
            if target.revision is not None:
                api.create_branch(target.name, branch=target.revision, exist_ok=True)
            parent = api.model_info(target.name, revision=target.revision).sha
            added = [
                CommitOperationAdd(path_in_repo=name, path_or_fileobj=bundle.folder / name)
                for name in (*bundle.manifest.files, MANIFEST)
            ]
            removed = [CommitOperationDelete(path_in_repo=name) for name in _outdated(api, bundle, target, parent)]
            done = api.create_commit(
                target.name,
                [*added, *removed],
                commit_message=f"{bundle.manifest.name}, exported by wav2edge {__version__}",
                revision=target.revision,
                parent_commit=parent,
            )
    except Exception as error:  # see above
        raise BundleError(
            f"{target.name}: not uploaded ({reason_of(error)}); the bundle is complete in {bundle.folder}, try:"
            f" hf upload {target.name} {bundle.folder}"
        ) from None
    return str(done.oid)


def _files(api: HfApi, target: HubTarget) -> set[str]:
    """Files of the repository at the revision; none where there is none."""
    try:
        found = api.model_info(target.name, revision=target.revision)
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return set()
    return {each.rfilename for each in found.siblings or ()}


def _outdated(api: HfApi, bundle: Bundle, target: HubTarget, parent: str | None) -> Iterator[str]:
    """Files that the bundle on the Hub lists, and this one does not."""
    there = _files(api, target)
    if MANIFEST in there:
        manifest = hf_hub_download(target.name, MANIFEST, revision=parent)
        with open(manifest, encoding="utf-8") as file:
            listed = set(json.load(file)["files"])
        yield from sorted((listed & there) - set(bundle.manifest.files))
