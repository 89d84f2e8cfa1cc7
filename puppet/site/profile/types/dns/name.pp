# @summary Name of a zone, without the last dot, fit to be the name of a file as well.
type Profile::Dns::Name = Pattern[/\A[a-z0-9_-]+(\.[a-z0-9_-]+)*\z/]
