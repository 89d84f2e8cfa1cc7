# @summary A host name below the fleet's domain, without it; `@` is the domain itself.
#
# It may begin with `*.` for whatever stands there; that is for the default site only.
type Profile::Web::Label = Pattern[/\A(@|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*)\z/]
