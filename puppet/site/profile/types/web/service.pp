# @summary Another service of this host that has something to do with the web.
type Profile::Web::Service = Enum['mail', 'mta-sts']
