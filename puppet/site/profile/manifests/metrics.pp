# @summary Metrics of one service of this host, handed out to the control host.
#
# Nothing happens while the fleet is not watched. The title is the name that Prometheus knows it by.
#
# @param port TCP port on 127.0.0.1 where the service tells them, over HTTP
# @param socket or the socket where it does, open to the group `prometheus`
# @param path below which
# @example
#   profile::metrics { 'haproxy':
#     port => 8405,
#   }
define profile::metrics (
  Optional[Stdlib::Port] $port = undef,
  Optional[Stdlib::Unixpath] $socket = undef,
  Stdlib::Unixpath $path = '/metrics',
) {
  include profile::node_exporter

  if $fleet::watched {
    # Whether it is nonsense is Prometheus' to find: the gateway knows an older format only.
    $asked = $socket ? {
      undef   => { 'method' => 'http', 'http' => { 'port' => $port, 'path' => $path, 'verify' => false } },
      default => {
        'method' => 'exec',
        'exec'   => {
          'command' => '/usr/bin/curl',
          'args'    => ['--silent', '--fail', '--unix-socket', $socket, "http://localhost${path}"],
        },
      },
    }

    if $socket {
      stdlib::ensure_packages(['curl'])
    }

    file { "/etc/fleet-metrics.d/${title}.yaml":
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      content => stdlib::to_yaml({ 'timeout' => '8s' } + $asked),
      notify  => Service['prometheus-exporter-exporter.service'],
    }
  }
}
