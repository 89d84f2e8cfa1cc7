# @summary A program of ours that looks at something every half minute, and writes what it saw.
#
# The program is /usr/local/sbin/TITLE and reads /etc/TITLE.json; it writes /var/lib/TITLE/TITLE.prom,
# which the node exporter reads.
#
# @param describe what it does, for people
# @param config what it is told, as JSON
# @param packages it needs
define profile::monitoring::task (
  String[1] $describe,
  Hash[String[1], Data] $config,
  Array[String[1]] $packages = [],
) {
  include profile::node_exporter
  include profile::python3

  stdlib::ensure_packages($packages)

  $program = $title.regsubst('-', '_', 'G')

  file {
    default:
      ensure => file,
      owner  => 'root',
      group  => 'root',
      before => Service["${title}.timer"],
      ;
    "/usr/local/sbin/${title}":
      mode   => '0755',
      source => "puppet:///modules/profile/monitoring/${program}.py",
      ;
    "/etc/${title}.json":
      mode    => '0644',
      content => stdlib::to_json_pretty($config),
      ;
  }

  profile::systemd::unit {
    default:
      before => Service["${title}.timer"],
      ;
    "${title}.service":
      content => epp('profile/monitoring/task.service.epp', {
          'name'     => $title,
          'describe' => $describe,
      }),
      ;
    "${title}.timer":
      content => "[Unit]\nDescription=${describe}, every half minute\n\n[Timer]\nOnBootSec=30s\nOnUnitInactiveSec=30s\nAccuracySec=1s\n\n[Install]\nWantedBy=timers.target\n",
      notify  => Service["${title}.timer"],
      ;
  }

  service { "${title}.timer":
    ensure  => running,
    enable  => true,
    require => [Package['python3'], User['fleet-watch']],
  }
}
