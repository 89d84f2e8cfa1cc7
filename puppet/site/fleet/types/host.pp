# @summary What every host is told about each: names, addresses, and its turn in a promotion.
type Fleet::Host = Struct[{
    certname             => Stdlib::Fqdn,
    role                 => String[1],
    provider             => String[1],
    v4                   => Stdlib::IP::Address::V4::Nosubnet,
    v6                   => Stdlib::IP::Address::V6::Nosubnet,
    wireguard            => Stdlib::IP::Address::V4::Nosubnet,
    wireguard_public_key => Fleet::WireguardKey,
    promotion_order      => Integer[1],
}]
