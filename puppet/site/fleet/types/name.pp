# @summary Short name of a host.
type Fleet::Name = Pattern[/\A[a-z]([a-z0-9-]{0,30}[a-z0-9])?\z/]
