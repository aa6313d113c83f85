"""Network file systems are refused: SQLite's locks and shared memory do not hold there.

Two machines that open one file over NFS or SMB damage it without an error; a sentence at the start is
cheaper.  Only Linux says where a folder lies; elsewhere nothing is refused.
"""

from pathlib import Path

from txwatch.errors import StoreError

NETWORK = {
    "afs", "ceph", "cifs", "davfs", "fuse.davfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs",
    "fuse.sshfs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs",
}  # fmt: skip
MOUNTS = Path("/proc/self/mounts")


def refuse_network(path: Path) -> None:
    """Raise StoreError when `path` lies on a network file system."""
    kind = file_system(path.absolute(), MOUNTS.read_text() if MOUNTS.exists() else "")
    if kind in NETWORK:
        raise StoreError(
            f"{path} lies on a network file system ({kind}), where SQLite cannot keep it safe; "
            "set TXWATCH_HOME to a folder on a disk of this machine"
        )


def file_system(path: Path, mounts: str) -> str:
    """Return the kind of file system that an absolute path lies on, by the text of /proc/self/mounts."""
    found = [line.split(" ")[1:3] for line in mounts.splitlines()]
    above = [(len(point), kind) for point, kind in found if path.is_relative_to(_unescaped(point))]
    return max(above, default=(0, ""), key=lambda mount: mount[0])[1]


def _unescaped(point: str) -> str:
    """Spaces and backslashes are octal in /proc/self/mounts."""
    return point.replace("\\040", " ").replace("\\134", "\\")
