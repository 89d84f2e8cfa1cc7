# @summary What one site is. Paths begin with a slash, and are as a browser sends them, decoded.
#
# * `names`: host names that it answers to, over HTTP
# * `certified`: those of them that have a certificate, and answer over HTTPS as well
# * `default`: whether it answers to names that no site has
# * `forward`: it has no content, and sends every visitor to the same path under this name
# * `php`: whether its `.php` files are programs
# * `data`: directory in the content that its programs write to; releases share it
# * `appended`: files in there to which lines are only ever added, under a lock (flock(2))
# * `service`: the service that it belongs to: it is here when that is, whatever is said of the web
# * `answers`: paths that it answers with a text
# * `redirects`: path -> where it leads instead, and with which status
# * `gone`: paths below which there was something once (410)
# * `denied`: paths below which nobody may look (403)
# * `denied_suffixes`: the same for ends of names
# * `listing`: whether a directory without an index shows what is in it
# * `not_found`: the page for what is not there
# * `max_age`: end of a name -> seconds for which browsers keep it
# * `source`: where the content lies on the old server; only the operator cares
# * `otherwise`: paths below which the new server means to answer otherwise than the old one did
type Profile::Web::Description = Struct[{
    names                     => Array[Profile::Web::Label, 1],
    Optional[certified]       => Array[Profile::Web::Label],
    Optional['default']       => Boolean,
    Optional[forward]         => Profile::Web::Label,
    Optional[php]             => Boolean,
    Optional[data]            => Pattern[/\A[a-z0-9_-]+\z/],
    Optional[appended]        => Array[Pattern[/\A[a-z0-9._-]+\z/], 1],
    Optional[service]         => Profile::Web::Service,
    Optional[answers]         => Hash[Stdlib::Unixpath, Pattern[/\A[^"\\$]+\z/]],
    Optional[redirects]       => Hash[Stdlib::Unixpath, Struct[{ to => String[1], status => Integer[301, 308] }]],
    Optional[gone]            => Array[Stdlib::Unixpath],
    Optional[denied]          => Array[Stdlib::Unixpath],
    Optional[denied_suffixes] => Array[Pattern[/\A\.[a-z0-9]+\z/]],
    Optional[listing]         => Boolean,
    Optional[not_found]       => Stdlib::Unixpath,
    Optional[max_age]         => Hash[Pattern[/\A\.[a-z0-9]+\z/], Integer[0]],
    Optional[source]          => Stdlib::Unixpath,
    Optional[otherwise]       => Array[Stdlib::Unixpath],
}]
