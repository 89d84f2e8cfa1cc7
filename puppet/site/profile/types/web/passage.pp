# @summary The way between this host and the server that the sites come from.
#
# * `peers`: that server's addresses, IPv4 first
# * `certificate`: what either side shows the other, and the only one that it takes, PEM
type Profile::Web::Passage = Struct[{
    peers       => Array[Stdlib::IP::Address::Nosubnet, 1],
    certificate => String[1],
}]
