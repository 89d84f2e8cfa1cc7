# @summary Prometheus: asks, keeps, judges.
#
# @param interval how often everybody is asked, in seconds
# @param retention how long history is kept
# @param retention_size and how much of it at most
class profile::monitoring::prometheus (
  Integer[5, 60] $interval,
  String[1] $retention,
  String[1] $retention_size,
) {
  include fleet
  include profile::node_exporter

  $etc = '/etc/prometheus'
  $data = '/var/lib/prometheus/metrics2'
  $mail = fleet::serving('mail')

  # Exporters by name -> the hosts that have one. The gateway leads to all others of its host.
  $exporters = {
    'gateway'  => $fleet::enrolled,
    'node'     => $fleet::enrolled,
    'haproxy'  => fleet::serving('web'),
    'nginx'    => fleet::serving('web'),
    'dovecot'  => $mail,
    'rspamd'   => $mail,
  }
  $asked = $exporters.filter |$name, $hosts| { !$hosts.empty }
  $jobs = $asked.map |$name, $hosts| {
    {
      'job_name'       => $name,
      'static_configs' => $hosts.map |$host| {
        {
          'targets' => ["${fleet::hosts[$host]['wireguard']}:${profile::node_exporter::port}"],
          'labels'  => { 'instance' => $host },
        }
      },
      # A host that tells everything at once would fill the disk, or the memory.
      'sample_limit'   => 5000,
    } + ($name ? {
        # Whether it answers is all that is asked of it.
        'gateway' => { 'metric_relabel_configs' => [{
              'source_labels' => ['__name__'],
              'regex'         => 'process_resident_memory_bytes',
              'action'        => 'keep',
        }] },
        default   => { 'metrics_path' => '/proxy', 'params' => { 'module' => [$name] } },
    }) + ($name ? {
        # Programs of ours say themselves whose their numbers are.
        'node'    => { 'honor_labels' => true },
        # Two thousand series of each server's history are nobody's business here.
        'haproxy' => { 'metric_relabel_configs' => [{
              'source_labels' => ['__name__'],
              'regex'         => 'haproxy_(frontend_(current_sessions|http_(requests|responses)_total|bytes_(in|out)_total)|backend_(status|active_servers|http_responses_total|current_queue|response_time_average_seconds)|server_(status|current_sessions)|process_(uptime_seconds|current_connections))',
              'action'        => 'keep',
        }] },
        default   => {},
    })
  }

  # Programs of ours that speak for themselves, in the mesh; two mail servers have them.
  $own = {
    'replicator' => 9106,
    'journal'    => 9725,
  }
  $pair = $mail.length ? {
    2       => $own,
    default => {},
  }
  $own_jobs = $pair.map |$name, $port| {
    {
      'job_name'       => $name,
      'static_configs' => $mail.map |$host| {
        {
          'targets' => ["${fleet::hosts[$host]['wireguard']}:${port}"],
          'labels'  => { 'instance' => $host },
        }
      },
      'sample_limit'   => 5000,
    }
  }

  $here = { 'prometheus' => [9090, '/prometheus'], 'alertmanager' => [9093, '/alertmanager'], 'blackbox' => [9115, ''] }
  $here_jobs = $here.map |$name, $it| {
    {
      'job_name'       => $name,
      'metrics_path'   => "${it[1]}/metrics",
      'static_configs' => [{
          'targets' => ["127.0.0.1:${it[0]}"],
          'labels'  => { 'instance' => $trusted['hostname'] },
      }],
      'sample_limit'   => 5000,
      # They tell twelve hundred numbers of themselves; these are asked for.
      'metric_relabel_configs' => [
        {
          'source_labels' => ['__name__'],
          'regex'         => 'prometheus_(config_last_reload_successful|rule_evaluation_failures_total|tsdb_(head_series|head_samples_appended_total|storage_blocks_bytes|wal_writes_failed_total))|alertmanager_(alerts|config_last_reload_successful|notifications_(failed_)?total)|process_(cpu_seconds_total|resident_memory_bytes)',
          'action'        => 'keep',
        },
        # Nor are a dozen ways out that nobody has set up.
        { 'source_labels' => ['integration'], 'regex' => '(email|webhook|)', 'action' => 'keep' },
      ],
    }
  }

  $probe_jobs = [{
      'job_name'        => 'probe',
      'metrics_path'    => '/probe',
      'scrape_timeout'  => '10s',
      'relabel_configs' => [
        { 'source_labels' => ['__address__'], 'target_label' => '__param_target' },
        { 'replacement' => '127.0.0.1:9115', 'target_label' => '__address__' },
      ],
      # Phases of every probe are more than anybody looks at.
      'metric_relabel_configs' => [{
          'source_labels' => ['__name__'],
          'regex'         => 'probe_(success|duration_seconds|http_status_code|ssl_earliest_cert_expiry|ssl_last_chain_expiry_timestamp_seconds)',
          'action'        => 'keep',
      }],
      'file_sd_configs' => [{ 'files' => ["${etc}/probes.json"] }],
  }]

  file {
    default:
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      require => Package['prometheus'],
      ;
    "${etc}/rules.yml":
      source       => 'puppet:///modules/profile/monitoring/rules.yml',
      validate_cmd => '/usr/bin/promtool check rules %',
      notify       => Exec['prometheus: read its configuration'],
      ;
    "${etc}/prometheus.yml":
      content => stdlib::to_yaml({
          'global'         => {
            'scrape_interval'     => "${interval}s",
            'scrape_timeout'      => '10s',
            # A look at what is known costs little, and an alert is earlier by it.
            'evaluation_interval' => '5s',
          },
          'rule_files'     => ["${etc}/rules.yml"],
          'alerting'       => {
            'alertmanagers' => [{
                'path_prefix'    => '/alertmanager',
                'static_configs' => [{ 'targets' => ['127.0.0.1:9093'] }],
            }],
          },
          'scrape_configs' => $jobs + $own_jobs + $here_jobs + $probe_jobs,
      }),
      notify  => Exec['prometheus: read its configuration'],
      ;
  }

  profile::monitoring::daemon { 'prometheus':
    arguments => [
      '--config.file=/etc/prometheus/prometheus.yml',
      "--storage.tsdb.path=${data}",
      "--storage.tsdb.retention.time=${retention}",
      "--storage.tsdb.retention.size=${retention_size}",
      '--web.listen-address=127.0.0.1:9090',
      "--web.external-url=https://${trusted['certname']}/prometheus/",
      '--web.route-prefix=/prometheus',
      # Alertmanager takes an alert for over when it has not heard of it for four times this long.
      '--rules.alert.resend-delay=15s',
      '--query.max-samples=5000000',
      '--query.max-concurrency=4',
    ],
    writes    => ['/var/lib/prometheus'],
  }

  # It goes on with what it has when the new one is wrong, and says so here.
  exec { 'prometheus: read its configuration':
    command     => '/usr/bin/promtool check config /etc/prometheus/prometheus.yml && /usr/bin/systemctl reload-or-restart prometheus.service',
    refreshonly => true,
    require     => File["${etc}/rules.yml", "${etc}/prometheus.yml"],
    before      => Service['prometheus.service'],
  }
}
