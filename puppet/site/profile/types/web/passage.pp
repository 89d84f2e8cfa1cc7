# @summary The way between this host and the server that the sites come from.
#
# * `peers`: that server's addresses, IPv4 first
# * `certificate`: what this host shows that server, which takes no other, PEM
# * `authority`: who certified that server, PEM; an authority of the system where there is none
type Profile::Web::Passage = Struct[{
    peers               => Array[Stdlib::IP::Address::Nosubnet, 1],
    certificate         => String[1],
    Optional[authority] => String[1],
}]
