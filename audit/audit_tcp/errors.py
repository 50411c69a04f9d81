"""The exceptions that audit-tcp raises; each message is complete: what, where, what to do.

AuditTcpError
├── UsageError          the command line asks for something that does not exist: exit code 2
├── ProfileError        a rule, profile or waiver file is wrong: file, key, value, what is legal
├── PathError           a path file or a Terraform plan is wrong: file and line, key, value, what is legal
├── SnapshotError       a snapshot cannot be read: file, what is wrong
└── TargetError         a host could not be audited: host, why
"""


class AuditTcpError(Exception):
    """Anything that the user is told in one line instead of a traceback."""


class UsageError(AuditTcpError):
    """A command line that cannot be carried out as it stands."""


class ProfileError(AuditTcpError):
    """A rule, profile, catalog or waiver file that says something impossible."""


class PathError(AuditTcpError):
    """A path file or a Terraform plan that says something impossible."""


class SnapshotError(AuditTcpError):
    """A snapshot that is not one, is damaged, or was written by a newer version."""


class TargetError(AuditTcpError):
    """A host that could not be audited."""
