# @summary Content of a zone: its start of authority, and one line for each set of records.
#
# Times are seconds. Names of records are relative to the zone, `@` is the zone itself; values are
# written as in a master file (RFC 1035), names in them with the last dot.
type Profile::Dns::Content = Struct[{
    soa     => Struct[{
        mname   => String[1],
        rname   => String[1],
        serial  => Integer[0, 4294967295],
        refresh => Integer[0],
        retry   => Integer[0],
        expire  => Integer[0],
        minimum => Integer[0],
        ttl     => Integer[0],
    }],
    records => Array[Struct[{
          name   => String[1],
          ttl    => Integer[0],
          type   => Pattern[/\A[A-Z0-9]+\z/],
          values => Array[String[1], 1],
    }], 1],
}]
