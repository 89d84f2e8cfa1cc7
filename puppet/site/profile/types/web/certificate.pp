# @summary A certificate that no site shows.
#
# * `names`: host names in it
# * `service`: the service that shows it; while that is not here, nobody asks for it
type Profile::Web::Certificate = Struct[{
    names   => Array[Profile::Web::Label, 1],
    service => Profile::Web::Service,
}]
