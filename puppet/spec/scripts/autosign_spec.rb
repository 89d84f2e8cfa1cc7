# frozen_string_literal: true

require 'open3'
require 'openssl'
require 'tempfile'
require 'yaml'

# The policy as Puppet Server runs it: a name as argument, a request on standard input, and an
# exit code that decides.
describe 'the enrolment policy' do
  script = File.expand_path('../../site/profile/files/puppetserver/autosign.rb', __dir__)
  name = 'oslo.lab.nordlys.example'
  key = 'the-key-of-this-site-and-of-no-other'

  # A request as an agent makes it; what is not given is right.
  def request(common_name, challenge: nil, signer: nil)
    own = OpenSSL::PKey::EC.generate('prime256v1')
    made = OpenSSL::X509::Request.new
    made.subject = OpenSSL::X509::Name.new([['CN', common_name]])
    made.public_key = own
    if challenge
      value = OpenSSL::ASN1::Set([OpenSSL::ASN1::UTF8String(challenge)])
      made.add_attribute(OpenSSL::X509::Attribute.new('challengePassword', value))
    end
    made.sign(signer || own, OpenSSL::Digest.new('SHA256')).to_pem
  end

  define_method(:answer) do |certname, text, settings: { 'certnames' => [name], 'key' => key }|
    Tempfile.create('enrolment') do |file|
      file.write(settings.to_yaml)
      file.flush
      _, said, status = Open3.capture3(
        { 'ENROLMENT_SETTINGS' => file.path }, RbConfig.ruby, script, certname, stdin_data: text
      )
      return status.success? ? :signed : said
    end
  end

  it 'lets a host of the fleet in that brings the key' do
    expect(answer(name, request(name, challenge: key))).to eq(:signed)
  end

  it 'refuses a wrong key, a part of the key, and none' do
    [key.reverse, key[0..-2], ''].each do |wrong|
      expect(answer(name, request(name, challenge: wrong))).to match(/wrong enrolment key/)
    end
    expect(answer(name, request(name))).to match(/wrong enrolment key/)
  end

  it 'refuses a host that is not to enrol' do
    other = 'bergen.lab.nordlys.example'
    expect(answer(other, request(other, challenge: key))).to match(/not a host that may enrol/)
  end

  it 'refuses a request for another name than it is handed in for' do
    text = request('tromso.lab.nordlys.example', challenge: key)
    expect(answer(name, text)).to match(/for another name/)
  end

  it 'refuses a request made for a key that somebody else holds' do
    text = request(name, challenge: key, signer: OpenSSL::PKey::EC.generate('prime256v1'))
    expect(answer(name, text)).to match(/not signed with its own key/)
  end

  it 'refuses everybody while no key is set' do
    settings = { 'certnames' => [name], 'key' => '' }
    expect(answer(name, request(name), settings: settings)).to match(/no enrolment key/)
  end

  it 'refuses what it cannot read' do
    expect(answer(name, 'not a request')).to match(/RequestError/)
    expect(answer(name, request(name, challenge: key), settings: nil)).to match(/refused/)
  end
end
