# @summary Name of a site: of its directory, its PHP pool and its backends alike.
type Profile::Web::Name = Pattern[/\A[a-z][a-z0-9-]{0,30}\z/]
