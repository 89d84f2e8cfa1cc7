# @summary A host name below the fleet's domain, without it; `@` is the domain itself.
type Profile::Web::Label = Pattern[/\A(@|[a-z0-9_-]+(\.[a-z0-9_-]+)*)\z/]
