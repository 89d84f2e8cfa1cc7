# @summary How one host is known to the others that replicate with it (syncthing).
#
# * `device`: what the others call it, which follows from its certificate and from nothing else
# * `certificate`: what it shows, PEM
type Profile::Web::Replica = Struct[{
    device      => Pattern[/\A([A-Z2-7]{7}-){7}[A-Z2-7]{7}\z/],
    certificate => String[1],
}]
