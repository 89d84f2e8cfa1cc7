# @summary The data of one site, the same on every host.
#
# @param site what it is
# @param ports where this site's data is exchanged (`profile::web::data_ports`)
# @param peers hosts to exchange it with
# @param replicas how each host is known
# @param key key of this host's certificate, PEM
define profile::web::replicated (
  Profile::Web::Description $site,
  Hash[String[1], Stdlib::Port] $ports,
  Array[Fleet::Name, 1] $peers,
  Hash[Fleet::Name, Profile::Web::Replica] $replicas,
  Sensitive[String[1]] $key,
) {
  $etc = "/etc/web-replica/${title}"
  $user = "web-${title}"
  $data = "/srv/www/${title}/shared/${site['data']}"
  $state = "/var/lib/web-replica/${title}"
  $journals = "/var/lib/web-lines/${title}"
  $appended = pick($site['appended'], [])
  $me = $trusted['hostname']

  file {
    default:
      ensure => directory,
      owner  => $user,
      group  => $user,
      mode   => '0700',
      ;
    $data:
      mode => undef,
      ;
    [$state, $journals]:
      ;
    $etc:
      owner => 'root',
      group => 'root',
      mode  => '0755',
      ;
    "${etc}/config.xml":
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      content => epp('profile/web/replica.xml.epp', {
          'port'    => $ports['here'],
          'device'  => $replicas[$me]['device'],
          'peers'   => $peers.map |$number, $name| { [$name, $replicas[$name]['device'], $ports['peers'] + $number] },
          'folders' => { 'data' => $data, 'lines' => $journals },
      }),
      ;
    "${etc}/cert.pem":
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      content => $replicas[$me]['certificate'],
      ;
    "${etc}/key.pem":
      ensure    => file,
      mode      => '0400',
      show_diff => false,
      content   => $key,
      ;
    "${data}/.stignore":
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      content => $appended.map |$name| { "/${name}\n" }.join,
      ;
  }

  profile::systemd::unit { "web-replica-${title}.service":
    content => epp('profile/web/replica.service.epp', {
        'name'     => $title,
        'user'     => $user,
        'etc'      => $etc,
        'state'    => $state,
        'writable' => [$data, $journals],
    }),
  }

  service { "web-replica-${title}.service":
    ensure    => running,
    enable    => true,
    require   => [Package['syncthing'], File[$data, $state, $journals, "${data}/.stignore"]],
    subscribe => [
      Profile::Systemd::Unit["web-replica-${title}.service"],
      File["${etc}/config.xml", "${etc}/cert.pem", "${etc}/key.pem"],
    ],
  }

  unless $appended.empty {
    profile::systemd::unit { "web-lines-${title}.service":
      content => epp('profile/web/lines.service.epp', {
          'name'     => $title,
          'user'     => $user,
          'host'     => $me,
          'data'     => $data,
          'journals' => $journals,
          'files'    => $appended,
      }),
    }

    service { "web-lines-${title}.service":
      ensure    => running,
      enable    => true,
      require   => File[$data, $journals],
      subscribe => [Profile::Systemd::Unit["web-lines-${title}.service"], File['/usr/local/sbin/web-lines']],
    }
  }
}
