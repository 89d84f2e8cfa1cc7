# @summary Another service of this host, which has something to do with the web.
type Profile::Web::Service = Enum['mail']
