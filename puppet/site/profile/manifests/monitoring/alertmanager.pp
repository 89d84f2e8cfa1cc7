# @summary Alertmanager: who is told. What something else explains is no alert at all (rules.yml).
#
# @param alerts_to where alerts go
# @param watchdog_url what is told every minute that all this runs
class profile::monitoring::alertmanager (
  String[1] $alerts_to,
  Optional[Stdlib::HTTPUrl] $watchdog_url = undef,
) {
  include fleet

  $etc = '/etc/prometheus'
  $watchdogs = $watchdog_url ? {
    undef   => [],
    default => [{ 'url' => $watchdog_url, 'send_resolved' => false }],
  }

  file {
    default:
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      require => Package['prometheus-alertmanager'],
      notify  => Exec['alertmanager: read its configuration'],
      ;
    "${etc}/letter.tmpl":
      source => 'puppet:///modules/profile/monitoring/letter.tmpl',
      ;
    "${etc}/alertmanager.yml":
      content => stdlib::to_yaml({
          'global'        => {
            'smtp_smarthost'   => '127.0.0.1:25',
            'smtp_hello'       => $trusted['certname'],
            # It is this host, over loopback; Postfix speaks TLS with everybody else.
            'smtp_require_tls' => false,
            'smtp_from'        => "alerts@${trusted['hostname']}.${fleet::domain}",
          },
          'templates'     => ["${etc}/letter.tmpl"],
          'route'         => {
            'receiver'        => 'people',
            'group_by'        => ['alertname', 'instance', 'service', 'zone', 'peer'],
            'group_wait'      => '5s',
            'group_interval'  => '10s',
            'repeat_interval' => '12h',
            'routes'          => [{
                'receiver'        => 'watchdog',
                'matchers'        => ['alertname = "Watchdog"'],
                'group_wait'      => '0s',
                'group_interval'  => '10s',
                'repeat_interval' => '40s',
            }],
          },
          'receivers'     => [
            {
              'name'          => 'people',
              'email_configs' => [{
                  'to'            => $alerts_to,
                  'send_resolved' => true,
                  'headers'       => { 'Subject' => '{{ template "fleet.subject" . }}' },
                  'html'          => '',
                  'text'          => '{{ template "fleet.text" . }}',
              }],
            },
            { 'name' => 'watchdog', 'webhook_configs' => $watchdogs },
          ],
      }),
      ;
  }

  profile::monitoring::daemon { 'prometheus-alertmanager':
    arguments => [
      '--config.file=/etc/prometheus/alertmanager.yml',
      '--storage.path=/var/lib/prometheus/alertmanager',
      '--web.listen-address=127.0.0.1:9093',
      "--web.external-url=https://${trusted['certname']}/alertmanager/",
      '--web.route-prefix=/alertmanager',
      '--cluster.listen-address=',
    ],
    writes    => ['/var/lib/prometheus'],
  }

  exec { 'alertmanager: read its configuration':
    command     => '/usr/bin/systemctl reload-or-restart prometheus-alertmanager.service',
    refreshonly => true,
    require     => File["${etc}/letter.tmpl", "${etc}/alertmanager.yml"],
    before      => Service['prometheus-alertmanager.service'],
  }
}
