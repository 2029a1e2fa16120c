# The formula of Homebrew. scripts/package-formula fills in version and checksums of a release.
class Talaria < Formula
  desc "Mercure hub that pushes updates to browsers over server-sent events"
  homepage "https://github.com/talaria-hub/talaria"
  version "VERSION"
  license any_of: ["MIT", "Apache-2.0"]

  on_macos do
    on_arm do
      url "https://github.com/talaria-hub/talaria/releases/download/v#{version}/talaria-#{version}-aarch64-apple-darwin.tar.gz"
      sha256 "SHA256:aarch64-apple-darwin"
    end
    on_intel do
      url "https://github.com/talaria-hub/talaria/releases/download/v#{version}/talaria-#{version}-x86_64-apple-darwin.tar.gz"
      sha256 "SHA256:x86_64-apple-darwin"
    end
  end

  on_linux do
    on_arm do
      url "https://github.com/talaria-hub/talaria/releases/download/v#{version}/talaria-#{version}-aarch64-unknown-linux-musl.tar.gz"
      sha256 "SHA256:aarch64-unknown-linux-musl"
    end
    on_intel do
      url "https://github.com/talaria-hub/talaria/releases/download/v#{version}/talaria-#{version}-x86_64-unknown-linux-musl.tar.gz"
      sha256 "SHA256:x86_64-unknown-linux-musl"
    end
  end

  def install
    bin.install "talaria"
    man1.install Dir["man/*.1"]
    bash_completion.install "completions/talaria.bash" => "talaria"
    zsh_completion.install "completions/_talaria"
    fish_completion.install "completions/talaria.fish"
    (etc/"talaria").install "Caddyfile"
    (var/"lib/talaria").mkpath
  end

  # It needs keys: `brew services` takes them from the file that `caveats` names.
  def caveats
    <<~TEXT
      To try the hub out:
        talaria dev

      As a service it reads #{etc}/talaria/Caddyfile, and its keys from #{etc}/talaria/env:
        MERCURE_PUBLISHER_JWT_KEY=...
        MERCURE_SUBSCRIBER_JWT_KEY=...
    TEXT
  end

  service do
    run [opt_bin/"talaria", "run", "--config", etc/"talaria/Caddyfile", "--envfile", etc/"talaria/env"]
    environment_variables XDG_DATA_HOME: var/"lib/talaria", SERVER_NAME: ":3000"
    keep_alive true
    log_path var/"log/talaria.log"
    error_log_path var/"log/talaria.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/talaria version")
    ENV["MERCURE_PUBLISHER_JWT_KEY"] = "a secret of more than thirty-two bytes"
    ENV["MERCURE_SUBSCRIBER_JWT_KEY"] = "a secret of more than thirty-two bytes"
    ENV["SERVER_NAME"] = ":3000"
    assert_match "valid", shell_output("#{bin}/talaria validate")
  end
end
