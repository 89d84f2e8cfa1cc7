# @summary One of Prometheus' family, confined, on this host alone.
#
# @param arguments its command line
# @param writes what it may write to
define profile::monitoring::daemon (
  Array[String[1], 1] $arguments,
  Array[Stdlib::Unixpath] $writes = [],
) {
  $paths = $writes.empty ? {
    true    => '',
    default => "ReadWritePaths=${writes.join(' ')}\n",
  }

  profile::systemd::dropin { "${title}.service":
    content => "${file('profile/metrics/exporter.conf')}${paths}",
    before  => Package[$title],
    notify  => Service["${title}.service"],
  }

  package { $title:
    ensure          => installed,
    install_options => ['--no-install-recommends'],
  }

  file { "/etc/default/${title}":
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => "# Managed by Puppet.\nARGS=\"${arguments.join(' ')}\"\n",
    require => Package[$title],
  }

  ~> service { "${title}.service":
    ensure => running,
    enable => true,
  }
}
