# @summary What the fleet, or one host of it, is to a zone.
#
# * `primary`: it holds the content; `signed` says whether with DNSSEC
# * `secondary`: it copies the content from `primaries`, with the key named `transfer_key`; with
#   `signed` it makes the signatures itself
# * `absent`: nothing any more; a zone is only removed when the data says so in this word
type Profile::Dns::Zone = Variant[
  Struct[{
      kind             => Enum['primary'],
      Optional[signed] => Boolean,
  }],
  Struct[{
      kind             => Enum['secondary'],
      primaries        => Array[Stdlib::IP::Address::Nosubnet, 1],
      transfer_key     => Profile::Dns::Name,
      Optional[signed] => Boolean,
  }],
  Struct[{
      kind => Enum['absent'],
  }],
]
