# @summary A zone of which this host holds the content.
#
# @param content what is in it
# @param ttl_limit no time to live is longer than these seconds
# @param secret the key that signs it; without one it is not signed
# @param peers private addresses of the other hosts of the fleet that serve it
# @param transfer_key name of the key that signs transfers to them
define profile::dns::primary (
  Profile::Dns::Content $content,
  Optional[Integer[1]] $ttl_limit = undef,
  Optional[Sensitive[String[1]]] $secret = undef,
  Array[Stdlib::IP::Address::Nosubnet] $peers = [],
  Optional[Profile::Dns::Name] $transfer_key = undef,
) {
  $file = "/etc/powerdns/zones/${title}.zone"

  file { $file:
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => epp('profile/dns/zone.epp', {
        'zone'    => $title,
        'content' => $content,
        'limit'   => pick($ttl_limit, 2147483647),
    }),
  }

  # Whole from the first moment on: a new zone is created by its content. And names lead nobody to a
  # port that opens in the same run before it is open.
  exec { "dns: load ${title}":
    command => "/usr/local/sbin/pdns-zone load ${title} ${file}",
    unless  => "/usr/local/sbin/pdns-zone loaded ${title} ${file}",
    require => [Class['profile::dns::server', 'profile::firewall'], File[$file]],
  }

  -> exec { "dns: kind of ${title}":
    command => "/usr/bin/pdnsutil set-kind ${title} primary",
    unless  => "/usr/bin/pdnsutil list-all-zones primary --verbose | /usr/bin/grep -qxF ${title}",
  }

  -> profile::dns::signing { $title:
    secret => $secret,
  }

  ~> exec { "dns: order ${title}":
    command     => "/usr/bin/pdnsutil rectify-zone ${title} && /usr/bin/pdns_control purge '${title}\$'",
    refreshonly => true,
  }

  -> profile::dns::shared { $title:
    peers        => $peers,
    transfer_key => $peers.empty ? { true => undef, default => $transfer_key },
    signed       => $secret =~ NotUndef,
  }

  unless $peers.empty {
    exec { "dns: tell of ${title}":
      command     => "/usr/bin/pdns_control notify ${title}",
      refreshonly => true,
      subscribe   => Exec["dns: load ${title}", "dns: kind of ${title}"],
      require     => Profile::Dns::Shared[$title],
    }
  }
}
