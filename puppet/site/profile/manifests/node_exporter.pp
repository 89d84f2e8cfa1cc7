# @summary What this host tells of itself, through the mesh and one port.
#
# Every exporter listens on this host alone. Debian's exporter_exporter passes their answers on, if
# they are metrics at all. Nothing is here until the stage of the migration says that the fleet is
# watched.
#
# @param port TCP port on this host's address in the mesh
# @param collectors of Debian's node exporter; it has many more
# @param options of those
class profile::node_exporter (
  Stdlib::Port $port = 9999,
  Array[String[1], 1] $collectors = [
    'cpu', 'diskstats', 'filesystem', 'loadavg', 'meminfo', 'netdev', 'stat', 'textfile', 'time',
    'uname', 'vmstat',
  ],
  Array[String[1]] $options = [
    '--collector.filesystem.fs-types-exclude=^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|mqueue|nsfs|proc|procfs|pstore|rpc_pipefs|securityfs|squashfs|sysfs|tracefs)$',
    '--collector.filesystem.mount-points-exclude=^/(dev|etc|home|proc|root|run|sys|tmp|var/tmp)($|/)',
    '--collector.netdev.device-exclude=^lo$',
    '--collector.vmstat.fields=^(oom_kill|pgmajfault|pswp.*)$',
  ],
) {
  include fleet

  if $fleet::watched {
    include profile::python3
    include profile::wireguard

    $me = fleet::me()
    $textfiles = '/var/lib/fleet-metrics'
    $peers = $fleet::hosts.filter |$name, $host| { $name in $fleet::enrolled and $host != $me }
    # The stage tells every host of them; they send to one.
    $backup_clients = $me['role'] ? {
      'production' => lookup('profile::backup::clients', Hash, 'first', {}).keys,
      default      => [],
    }
    $flags = $collectors.map |$name| { "--collector.${name}" } + $options + [
      '--collector.disable-defaults',
      # Whoever of us writes metrics has a folder of that name.
      '--collector.textfile.directory=/var/lib/fleet-*',
      '--web.disable-exporter-metrics',
      '--web.listen-address=127.0.0.1:9100',
    ]

    # What its postinst would make with a folder in /var/lib; the exporter reads ours.
    package { ['prometheus-node-exporter', 'prometheus-exporter-exporter']:
      ensure          => installed,
      # Not the package with ninety collectors, and what those want.
      install_options => ['--no-install-recommends'],
      require         => Profile::Systemd::Dropin['prometheus-node-exporter.service', 'prometheus-exporter-exporter.service'],
    }

    profile::systemd::dropin {
      'prometheus-node-exporter.service':
        content => file('profile/metrics/exporter.conf'),
        notify  => Service['prometheus-node-exporter.service'],
        ;
      'prometheus-exporter-exporter.service':
        content => "${file('profile/metrics/exporter.conf')}${file('profile/metrics/gateway.conf')}",
        notify  => Service['prometheus-exporter-exporter.service'],
        ;
    }

    file {
      default:
        ensure  => file,
        owner   => 'root',
        group   => 'root',
        mode    => '0644',
        ;
      '/etc/default/prometheus-node-exporter':
        content => "# Managed by Puppet.\nARGS=\"${flags.join(' ')}\"\n",
        require => Package['prometheus-node-exporter'],
        notify  => Service['prometheus-node-exporter.service'],
        ;
      '/etc/default/prometheus-exporter-exporter':
        content => "# Managed by Puppet.\nARGS=\"-config.file= -config.dirs=/etc/fleet-metrics.d -web.listen-address=${me['wireguard']}:${port}\"\n",
        require => Package['prometheus-exporter-exporter'],
        notify  => Service['prometheus-exporter-exporter.service'],
        ;
      '/etc/fleet-metrics.d':
        ensure  => directory,
        mode    => '0755',
        recurse => true,
        purge   => true,
        notify  => Service['prometheus-exporter-exporter.service'],
        ;
      [$textfiles]:
        ensure => directory,
        mode   => '0755',
        ;
      '/etc/fleet-metrics.json':
        content => stdlib::to_json_pretty({
            'backup_clients' => $backup_clients,
            'peers'          => Hash($peers.map |$name, $host| { [$host['wireguard'], $name] }),
            'port'           => $port,
        }),
        ;
      '/usr/local/sbin/fleet-metrics':
        mode   => '0755',
        source => 'puppet:///modules/profile/metrics/fleet_metrics.py',
        ;
    }

    profile::metrics { 'node':
      port => 9100,
    }

    profile::systemd::unit {
      default:
        before => Service['fleet-metrics.timer'],
        ;
      'fleet-metrics.service':
        content => file('profile/metrics/fleet-metrics.service'),
        ;
      'fleet-metrics.timer':
        content => file('profile/metrics/fleet-metrics.timer'),
        notify  => Service['fleet-metrics.timer'],
        ;
    }

    service {
      default:
        ensure => running,
        enable => true,
        ;
      'prometheus-node-exporter.service':
        require => Package['prometheus-node-exporter'],
        ;
      # It binds to the mesh.
      'prometheus-exporter-exporter.service':
        require => [Package['prometheus-exporter-exporter'], Class['profile::wireguard']],
        ;
      'fleet-metrics.timer':
        require => File['/etc/fleet-metrics.json', '/usr/local/sbin/fleet-metrics', $textfiles],
        ;
    }

    profile::firewall::allow { 'metrics':
      ports => [$port],
      from  => 'mesh',
    }
  }
}
