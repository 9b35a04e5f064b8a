"""The one error of this package: its text names the object and says what to do."""


class DevClusterError(RuntimeError):
    pass
