# frozen_string_literal: true

describe 'profile::monitoring' do
  include_context 'with a host and its role', 'tromso'

  def yaml(path)
    YAML.safe_load(catalogue.resource('file', path)[:content])
  end

  def jobs
    yaml('/etc/prometheus/prometheus.yml')['scrape_configs'].to_h { |job| [job['job_name'], job] }
  end

  mesh = FleetFacts.hosts.transform_values { |host| host['wireguard'] }

  it 'asks for metrics through the mesh, and everybody for what it serves' do
    asked = jobs.slice('gateway', 'node', 'haproxy', 'nginx', 'dovecot', 'rspamd')
    expect(asked.keys.length).to eq(6)
    targets = asked.values.flat_map { |job| job['static_configs'] }.flat_map { |each| each['targets'] }
    expect(targets.map { |target| target.split(':').first } - mesh.values).to be_empty
    expect(jobs['node']['static_configs'].map { |each| each['labels']['instance'] })
      .to match_array(FleetFacts.hosts.keys - ['bergen'])
  end

  it 'asks for names, pages and mail on the addresses that the world knows, in both families' do
    probes = JSON.parse(catalogue.resource('file', '/etc/prometheus/probes.json')[:content])
    oslo = FleetFacts.hosts['oslo']
    served = probes.select { |each| each['labels']['instance'] == 'oslo' }
    expect(served.flat_map { |each| each['targets'] }).to include(
      "#{oslo['v4']}:53", "[#{oslo['v6']}]:53", "https://#{oslo['v4']}/", "[#{oslo['v6']}]:25", "#{oslo['v4']}:993",
    )
  end

  it 'is open to nobody but people with the password' do
    %w[prometheus prometheus-alertmanager prometheus-blackbox-exporter].each do |name|
      is_expected.to contain_file("/etc/default/#{name}").with_content(/--web\.listen-address=127\.0\.0\.1:/)
    end
    expect(catalogue.resources.select { |each| each.type == 'Profile::Firewall::Allow' }.map(&:title))
      .not_to include('prometheus', 'alertmanager')
    is_expected.to contain_file('/etc/nginx/dashboard.d/pictures.conf')
  end

  it 'hands its own metrics to the mesh alone' do
    is_expected.to contain_profile__firewall__allow('metrics').with_ports([9999]).with_from('mesh')
    is_expected.to contain_file('/etc/default/prometheus-exporter-exporter')
      .with_content(/-web\.listen-address=#{mesh['tromso']}:9999/)
  end

  it 'keeps ninety days, and no more than four gigabytes' do
    is_expected.to contain_file('/etc/default/prometheus')
      .with_content(/--storage\.tsdb\.retention\.time=90d --storage\.tsdb\.retention\.size=4GB/)
  end

  it 'lets alerts leave by a mail server of its own that takes nothing from others' do
    config = yaml('/etc/prometheus/alertmanager.yml')
    expect(config['global']['smtp_smarthost']).to eq('127.0.0.1:25')
    is_expected.to contain_file('/etc/postfix/main.cf')
      .with_content(/^inet_interfaces = loopback-only$/).with_content(/^mydestination =$/)
  end

  it 'tells somebody outside every minute that it runs' do
    route = yaml('/etc/prometheus/alertmanager.yml')['route']['routes'].first
    expect(route).to include('receiver' => 'watchdog', 'repeat_interval' => '40s')
  end

  it 'shows the password of its mailbox to nobody but whoever needs it' do
    is_expected.to contain_file('/etc/fleet-letter.password')
      .with_owner('root').with_group('fleet-watch').with_mode('0640').with_show_diff(false)
    expect(catalogue.resource('file', '/etc/fleet-letter.password').sensitive_parameters).to include(:content)
  end

  it 'confines whatever it runs' do
    %w[fleet-metrics.service fleet-look.service fleet-letter.service].each do |unit|
      is_expected.to contain_file("/etc/systemd/system/#{unit}").with_content(/^ProtectSystem=strict$/)
    end
    %w[prometheus prometheus-alertmanager prometheus-node-exporter].each do |unit|
      is_expected.to contain_file("/etc/systemd/system/#{unit}.service.d/fleet.conf")
        .with_content(/^CapabilityBoundingSet=$/)
    end
  end

  context 'with alerts that would stay in the fleet' do
    let(:pre_condition) do
      "class { 'profile::monitoring': alerts_to => 'kari@nordlys.example' }\n#{super()}"
    end

    it { is_expected.to compile.and_raise_error(/outside the fleet/) }
  end
end

describe 'fleet' do
  FleetFacts.hosts.each_key do |name|
    context "when nobody watches #{name} yet" do
      include_context 'with a host and its role', name

      let(:pre_condition) do
        "class { 'fleet': watched => false }\n#{File.read(File.expand_path('../../manifests/site.pp', __dir__))}"
      end

      it 'has nothing of the monitoring' do
        names = catalogue.resources.map(&:to_s)
        expect(names.grep(/prometheus|fleet-metrics|fleet-look|fleet-letter|Allow\[metrics\]/)).to be_empty
      end
    end
  end
end
