// Managed by Puppet. What is on which page; pictures.js draws it.
import { draw } from './pictures.js';

// Everything that users see of a host, as a share of the probes that succeeded.
const probes = 'probe_success{service=~"dns|web|smtp|imap"}';

const fleet = [
  { title: 'Names: time to answer', unit: 'ms', query: '1000 * max by (instance) (probe_duration_seconds{service="dns"})' },
  { title: 'Pages: time to answer', unit: 'ms', query: '1000 * max by (instance) (probe_duration_seconds{service="web"})' },
  { title: 'Mail: time to answer', unit: 'ms', query: '1000 * max by (instance) (probe_duration_seconds{service=~"smtp|imap"})' },
  { title: 'A letter, from one server to a reader at another', unit: 's', query: 'fleet_letter_seconds', by: ['given_to', 'instance'] },
  { title: 'Replication: the oldest change that waits', unit: 's', query: 'max by (instance) (replicator_lag_seconds)' },
  { title: 'Mail in the queue', unit: '', query: 'fleet_mail_queue_messages' },
  { title: 'Pages served, a second', unit: '/s', query: 'sum by (instance) (rate(haproxy_frontend_http_requests_total{proxy="web"}[$rate]))' },
  { title: 'Questions answered by PowerDNS, a second', unit: '/s', query: 'sum by (instance) (rate(pdns_auth_udp_queries[$rate]) + rate(pdns_auth_tcp_queries[$rate]))' },
  { title: 'A name, looked up and verified', unit: 'ms', query: '1000 * fleet_lookup_seconds', by: ['name'] },
  { title: 'Processor in use', unit: '%', query: '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[$rate])))' },
  { title: 'Memory in use', unit: '%', query: '100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)' },
  { title: 'The fullest disk', unit: '%', query: '100 * (1 - min by (instance) (node_filesystem_avail_bytes / node_filesystem_size_bytes))' },
];

const host = [
  { title: 'Processor in use', unit: '%', query: '100 * sum by (mode) (rate(node_cpu_seconds_total{instance="$host",mode=~"user|system|iowait|steal"}[$rate])) / scalar(count(count by (cpu) (node_cpu_seconds_total{instance="$host"})))', by: ['mode'] },
  { title: 'Memory', unit: 'GB', query: 'label_replace((node_memory_MemTotal_bytes{instance="$host"} - node_memory_MemAvailable_bytes) / 1e9, "what", "in use", "", "") or label_replace(node_memory_MemTotal_bytes{instance="$host"} / 1e9, "what", "all", "", "")', by: ['what'] },
  { title: 'Disks in use', unit: '%', query: '100 * (1 - node_filesystem_avail_bytes{instance="$host"} / node_filesystem_size_bytes)', by: ['mountpoint'] },
  { title: 'Network', unit: 'kB/s', query: 'label_replace(rate(node_network_receive_bytes_total{instance="$host"}[$rate]) / 1e3, "way", "in", "", "") or label_replace(rate(node_network_transmit_bytes_total{instance="$host"}[$rate]) / 1e3, "way", "out", "", "")', by: ['device', 'way'] },
  { title: 'Time to answer', unit: 'ms', query: '1000 * max by (service) (probe_duration_seconds{instance="$host"})', by: ['service'] },
  { title: 'Pages by status, a second', unit: '/s', query: 'sum by (code) (rate(haproxy_frontend_http_responses_total{instance="$host",proxy="web"}[$rate]))', by: ['code'] },
  { title: 'Mail in the queue', unit: '', query: 'fleet_mail_queue_messages{instance="$host"}' },
  { title: 'Logins and deliveries of Dovecot, a minute', unit: '/min', query: 'label_replace(60 * rate(dovecot_logins_total{instance="$host"}[$rate]), "what", "logins", "", "") or label_replace(60 * rate(dovecot_logins_refused_total{instance="$host"}[$rate]), "what", "refused", "", "") or label_replace(60 * rate(dovecot_deliveries_total{instance="$host"}[$rate]), "what", "deliveries", "", "")', by: ['what'] },
  { title: 'Last handshake with the peers', unit: 's', query: 'time() - (fleet_wireguard_handshake_seconds{instance="$host"} > 0)', by: ['peer'] },
  { title: 'How far the clock is off', unit: 'ms', query: '1000 * fleet_clock_offset_seconds{instance="$host"}' },
  { title: 'Since the last run of Puppet', unit: 'min', query: '(node_time_seconds{instance="$host"} - on (instance) fleet_puppet_last_run_seconds) / 60' },
  { title: 'Units that have failed', unit: '', query: 'fleet_units_failed{instance="$host"}' },
];

draw({ fleet, host, probes });
