<?php
// An application with the unmodified Symfony component: publishes a private update and prints its
// id, then the subscriber's cookie. Arguments: the hub's URL, the publishers' and the subscribers' key.

require 'Symfony/Component/Mercure/autoload.php';
require 'Symfony/Component/HttpFoundation/autoload.php';
require 'Symfony/Component/HttpClient/autoload.php';

use Symfony\Component\HttpClient\HttpClient;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\Mercure\Authorization;
use Symfony\Component\Mercure\Hub;
use Symfony\Component\Mercure\HubRegistry;
use Symfony\Component\Mercure\Jwt\FactoryTokenProvider;
use Symfony\Component\Mercure\Jwt\TokenFactoryInterface;
use Symfony\Component\Mercure\Update;

[, $url, $publisherKey, $subscriberKey] = $argv;

/** Stands in for lcobucci/jwt, which is not a Debian package. */
final class Factory implements TokenFactoryInterface
{
    public function __construct(private string $key) {}

    public function create(?array $subscribe = [], ?array $publish = [], array $additionalClaims = []): string
    {
        $encode = fn (string $text) => rtrim(strtr(base64_encode($text), '+/', '-_'), '=');
        // The component names moments, as lcobucci/jwt wants them.
        $claims = array_map(fn ($claim) => $claim instanceof DateTimeInterface ? $claim->getTimestamp() : $claim, $additionalClaims);
        $mercure = array_filter(['subscribe' => $subscribe, 'publish' => $publish], fn ($list) => null !== $list);
        $text = $encode(json_encode(['typ' => 'JWT', 'alg' => 'HS256']))
            . '.' . $encode(json_encode($claims + ['mercure' => $mercure]));

        return $text . '.' . $encode(hash_hmac('sha256', $text, $this->key, true));
    }
}

$client = HttpClient::create();
$publisher = new Hub($url, new FactoryTokenProvider(new Factory($publisherKey), [], ['*']), null, $url, $client);
echo $publisher->publish(new Update('https://example.com/books/1', 'from Symfony', true, null, 'book', 5000)), "\n";

$browsers = new Hub($url, new FactoryTokenProvider(new Factory($subscriberKey), [], ['*']), new Factory($subscriberKey), $url, $client);
$authorization = new Authorization(new HubRegistry($browsers));
$cookie = $authorization->createCookie(Request::create($url), ['https://example.com/books/{id}']);
echo $cookie->getName(), '=', $cookie->getValue(), "\n";
