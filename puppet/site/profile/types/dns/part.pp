# @summary What a host is to the zones of the fleet.
#
# * `primary`: it holds their content; there is one such host
# * `secondary`: it copies them from the primary
# * `absent`: nothing any more; zones are only removed when the data says so in this word
type Profile::Dns::Part = Enum['primary', 'secondary', 'absent']
