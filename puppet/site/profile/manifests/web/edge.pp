# @summary HAProxy: who comes from the world, comes here.
#
# @param sites the sites of this host
# @param peers hosts that serve the same sites
# @param thumbprint of the account that certificates are issued to: every challenge is answered,
#   whichever host asked for the certificate
# @param passage the way to the server that the sites come from
# @param passage_key key of its certificate
# @param max_age seconds for which browsers shall remember that a name answers over HTTPS
class profile::web::edge (
  Hash[Profile::Web::Name, Profile::Web::Description, 1] $sites,
  Array[Fleet::Name] $peers = [],
  Optional[String[1]] $thumbprint = undef,
  Optional[Profile::Web::Passage] $passage = undef,
  Optional[Sensitive[String[1]]] $passage_key = undef,
  Integer[0] $max_age = 0,
) {
  include fleet
  include profile::drain

  $etc = '/etc/haproxy'
  $peer_port = 8081
  $metrics_port = 8405
  $state = '/var/lib/fleet-web'
  $defaults = $sites.filter |$name, $site| { pick($site['default'], false) }
  $names = $sites.map |$name, $site| {
    $site['names'].filter |$label| { $label !~ /\*/ }.map |$label| { "${profile::web::fqdn($label)} ${name}\n" }
  }

  package { ['haproxy', 'socat']:
    ensure => installed,
  }

  file {
    default:
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      require => Package['haproxy'],
      notify  => Service['haproxy.service'],
      ;
    "${etc}/certificates":
      ensure => directory,
      mode   => '0700',
      ;
    "${etc}/hold.lua":
      source => 'puppet:///modules/profile/web/hold.lua',
      ;
    "${etc}/sites.map":
      content => $names.flatten.join,
      ;
    $state:
      ensure => directory,
      mode   => '0755',
      ;
    # Which sites' programs still run on the server that they come from. The operator changes it,
    # in one step with what HAProxy has in memory; it is not Puppet's to decide.
    "${state}/origins.map":
      replace => false,
      content => '',
      ;
    '/usr/local/sbin/web-origin':
      mode    => '0755',
      require => Package['socat'],
      source  => 'puppet:///modules/profile/web/web-origin',
      notify  => undef,
      ;
  }

  if $passage {
    file {
      default:
        owner     => 'root',
        group     => 'root',
        require   => Package['haproxy'],
        notify    => Service['haproxy.service'],
        before    => File["${etc}/haproxy.cfg"],
        ;
      "${etc}/passage-authority.pem":
        ensure  => file,
        mode    => '0644',
        content => pick($passage['authority'], "# The system's.\n"),
        ;
      "${etc}/passage.pem":
        ensure    => file,
        mode      => '0600',
        show_diff => false,
        content   => Sensitive("${passage['certificate']}${passage_key.unwrap}"),
        ;
    }

    profile::firewall::allow { 'passage':
      ports => [8443],
      from  => $passage['peers'],
    }
  }

  file { "${etc}/haproxy.cfg":
    ensure       => file,
    owner        => 'root',
    group        => 'root',
    mode         => '0644',
    content      => epp('profile/web/haproxy.cfg.epp', {
        'state'        => $state,
        'drained'      => $profile::drain::map,
        'sites'        => $sites,
        'me'           => fleet::me()['wireguard'],
        'peers'        => $peers.map |$name| { [$name, fleet::named($name)['wireguard']] },
        'peer_port'    => $peer_port,
        'data_ports'   => profile::web::data_ports($sites),
        'default_site' => pick($defaults.keys[0], $sites.keys[0]),
        'thumbprint'   => $thumbprint,
        'passage'      => $passage,
        'max_age'      => $max_age,
        'metrics_port' => $fleet::watched ? {
          true    => $metrics_port,
          default => undef,
        },
    }),
    validate_cmd => '/usr/sbin/haproxy -c -q -f %',
    require      => [
      File["${etc}/certificates", "${etc}/hold.lua", "${etc}/sites.map", "${state}/origins.map"],
      Class['profile::drain'],
    ],
    notify       => Service['haproxy.service'],
  }

  profile::systemd::dropin { 'haproxy.service':
    content => file('profile/web/haproxy.conf'),
    # Debian starts it as soon as it is installed.
    before  => Package['haproxy'],
  }

  service { 'haproxy.service':
    ensure  => running,
    enable  => true,
    # Whoever is being served is served to the end.
    restart => '/usr/bin/systemctl reload haproxy.service',
  }

  profile::drain::hook { 'web':
    content => file('profile/web/drain'),
    require => Package['socat'],
  }

  profile::metrics { 'haproxy':
    port => $metrics_port,
  }

  profile::firewall::allow { 'web':
    ports => [80, 443],
  }

  unless $peers.empty {
    profile::firewall::allow { 'web for peers':
      ports => [$peer_port],
      from  => { 'mesh' => $peers },
    }
  }
}
