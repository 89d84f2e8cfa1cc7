# frozen_string_literal: true

describe 'role::control' do
  include_context 'with a host and its role', 'tromso'

  let(:enrolment) { catalogue.resource('file', '/etc/puppet/enrolment.yaml') }

  %w[puppetserver puppetdb].each do |service|
    it "compiles #{service} ahead of its start, and starts it all the same where that fails" do
      is_expected.to contain_file("/etc/systemd/system/#{service}.service.d/fleet.conf")
        .with_content(%r{^ExecStartPre=-\+/usr/local/sbin/clojure-aot prepare #{service} })
        .with_content(%r{^Environment=CLASSPATH=/usr/share/#{service}/#{service}\.jar AOT_ARGS=$})
        .with_content(/^TimeoutStartSec=1800$/)
    end

    it "begins to start #{service} early, and waits for it when all is installed" do
      is_expected.to contain_exec("#{service}: begin to start")
        .that_comes_before("Service[#{service}.service]")
      is_expected.to contain_package('nginx').that_comes_before("Service[#{service}.service]")
    end

    it "leaves #{service} out of unattended upgrades" do
      is_expected.to contain_file('/etc/apt/apt.conf.d/61fleet-upgrades')
        .with_content(/"\^#{service}\$";/)
    end
  end

  it 'gives apt hours of its own before anything is installed' do
    %w[apt-daily apt-daily-upgrade].each do |timer|
      is_expected.to contain_service("#{timer}.timer").that_comes_before('Package[puppetserver]')
    end
  end

  it 'lets both JVMs compile side by side' do
    is_expected.to contain_exec('puppetserver: begin to start').that_comes_before('Package[puppetdb]')
    is_expected.to contain_exec('puppetdb: begin to start')
      .that_comes_before('Service[puppetserver.service]')
  end

  it 'lets the enrolled hosts in, and shows the key to nobody' do
    expect(enrolment.sensitive_parameters).to include(:content)
    expect(enrolment[:mode]).to eq('0640')
    expect(YAML.safe_load(enrolment[:content])['certnames'])
      .to match_array(FleetFacts.hosts.slice('oslo', 'tromso').values.map { |host| host['certname'] })
  end

  it 'serves the hosts of the fleet with catalogs, and the page with the password to everybody' do
    is_expected.to contain_profile__firewall__allow('puppetserver').with_ports([8140]).with_from('fleet')
    is_expected.to contain_profile__firewall__allow('puppetboard').with_ports([443])
    is_expected.not_to contain_profile__firewall__allow('puppetdb')
  end

  it 'asks for a certificate before it says anything about the hosts' do
    is_expected.to contain_file('/etc/puppetdb/conf.d/jetty.ini')
      .with_content(/^ssl-host = localhost$/)
      .with_content(/^client-auth = need$/)
      .without_content(/^port = /)
  end

  it 'takes no Python package whose checksum is not known' do
    is_expected.to contain_exec('puppetboard: install').with_command(/--no-index .*--require-hashes/)
  end
end
