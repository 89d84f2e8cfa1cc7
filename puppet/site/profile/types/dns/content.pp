# @summary Content of a zone: its start of authority, and one line for each set of records.
#
# Times are seconds. Names of records are relative to the zone, `@` is the zone itself; values are
# written as in a master file (RFC 1035), names in them with the last dot.
#
# A record set of type LUA is a name whose answer is computed, for each type that its values begin
# with: `A "ifurlup('http://www.example/healthz', {'192.0.2.1', '192.0.2.2'}, {selector='all'})"`.
# Its addresses are those in quotes; a piece of the program has at most 255 bytes, and several stand
# side by side.
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
